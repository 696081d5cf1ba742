/** The box beside a column's head that tells what the column holds. */

import type { ColumnInfo, ColumnProfile } from "../protocol";
import { profileParts } from "../pure/profile";
import { addressOf } from "../pure/table";
import { element } from "./api";
import { fill } from "./build";

const MARGIN = 8;

/** What is done when the box opens and closes. */
export interface ProfileActions {
  load: (column: string) => void;
  cancel: () => void;
}

export class ProfileBox {
  private readonly box = element("section", "profile");
  private readonly title = element("h2");
  private readonly type = element("small");
  private readonly note = element("p", "note");
  private readonly content = element("div");
  private column: string | undefined;
  private opener: HTMLElement | undefined;
  private isLoading = false;

  constructor(private readonly actions: ProfileActions) {
    this.box.hidden = true;
    this.box.tabIndex = -1;
    this.box.setAttribute("role", "dialog");
    const close = element("button", "close", "✕");
    close.title = "Close";
    close.addEventListener("click", () => this.close());
    const header = element("header");
    header.append(this.title, this.type, close);
    this.box.append(header, this.note, this.content);
    document.body.append(this.box);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.box.hidden) this.close();
    });
    document.addEventListener("pointerdown", (event) => {
      if (!this.box.hidden && !this.box.contains(event.target as Node)) this.close(false);
    });
  }

  /** Open for a column, whose button is `opener`; `note` says of which rows it tells. */
  open(column: ColumnInfo, opener: HTMLElement, note: string): void {
    this.column = addressOf(column);
    this.opener = opener;
    this.title.textContent = addressOf(column);
    this.type.textContent = column.type;
    this.note.textContent = note;
    this.note.hidden = note === "";
    this.say("Reading …");
    this.isLoading = true;
    this.box.setAttribute("aria-label", `What ${addressOf(column)} holds`);
    this.box.hidden = false;
    this.place();
    this.box.focus();
    this.actions.load(addressOf(column));
  }

  show(profile: ColumnProfile): void {
    if (profile.column !== this.column) return;
    this.isLoading = false;
    this.type.textContent = profile.type;
    fill(this.content, profileParts(profile));
    this.place();
  }

  progress(percentage: number): void {
    if (this.isLoading) this.say(`Reading … ${percentage} %`);
  }

  fail(message: string): void {
    this.isLoading = false;
    this.say(message);
  }

  /** Close, and stop what is done for it; the keyboard goes back to where it came from. */
  close(returnsFocus = true): void {
    if (this.box.hidden) return;
    this.box.hidden = true;
    this.column = undefined;
    if (this.isLoading) this.actions.cancel();
    this.isLoading = false;
    if (returnsFocus) this.opener?.focus();
  }

  private say(text: string): void {
    this.content.replaceChildren(element("p", "", text));
  }

  /** Under the button that opened it, as far as there is room. */
  private place(): void {
    if (!this.opener) return;
    const from = this.opener.getBoundingClientRect();
    const left = Math.min(from.left, window.innerWidth - this.box.offsetWidth - MARGIN);
    this.box.style.left = `${Math.max(MARGIN, left)}px`;
    this.box.style.top = `${from.bottom + 4}px`;
    this.box.style.maxHeight = `${window.innerHeight - from.bottom - 4 * MARGIN}px`;
  }
}
