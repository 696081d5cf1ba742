/** The head of the table: names that sort, boxes that filter, buttons that tell what a column holds. */

import type { ColumnInfo, SortKey } from "../protocol";
import { type ColumnFilter, FilterError, parseFilter } from "../pure/question";
import { addressOf, headRows } from "../pure/table";
import { element } from "./api";
import { fill } from "./build";

const TYPING_MS = 500;

/** What is done when a person uses the head. */
export interface HeadActions {
  sort: (column: string, isFurther: boolean) => void;
  filter: (filter: ColumnFilter) => void;
  profile: (column: ColumnInfo, near: HTMLElement) => void;
}

/** Drawn anew only when the columns change, so that a box that is typed into stays. */
export class Head {
  readonly element = element("thead");
  private columns: ColumnInfo[] = [];
  private readonly timers = new Map<string, number>();

  constructor(private readonly actions: HeadActions) {
    this.element.addEventListener("click", (event) => this.click(event));
    this.element.addEventListener("input", (event) => this.type(event));
    this.element.addEventListener("keydown", (event) => this.press(event));
    this.element.addEventListener("change", (event) => this.leave(event));
  }

  draw(columns: ColumnInfo[], filters: readonly ColumnFilter[], sort: readonly SortKey[]): void {
    if (JSON.stringify(columns) !== JSON.stringify(this.columns)) {
      this.columns = columns;
      fill(this.element, headRows(columns));
      this.fill(filters);
    }
    this.mark(sort);
  }

  /** Have the boxes say what the filters say. */
  fill(filters: readonly ColumnFilter[]): void {
    for (const input of this.element.querySelectorAll("input")) {
      const column = this.columnOf(input);
      input.value = filters.find((filter) => column && filter.column === addressOf(column))?.text ?? "";
      showMisfit(input, "");
      markUsed(input);
    }
  }

  /** Show by which columns the rows are sorted. Only the first may say so to a screen reader. */
  mark(sort: readonly SortKey[]): void {
    for (const cell of this.element.querySelectorAll<HTMLElement>("th[data-column]")) {
      const column = this.columnOf(cell);
      const place = sort.findIndex((key) => column && key.column === addressOf(column));
      const key = sort[place];
      const arrow = key === undefined ? "" : key.descending ? "▼" : "▲";
      const mark = cell.querySelector("i");
      if (mark) mark.textContent = arrow && sort.length > 1 ? `${arrow}${place + 1}` : arrow;
      if (place === 0 && key) cell.setAttribute("aria-sort", key.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  }

  private click(event: MouseEvent): void {
    const button = (event.target as HTMLElement).closest("button");
    const column = button && this.columnOf(button);
    if (!button || !column) return;
    if (button.classList.contains("sort")) this.actions.sort(addressOf(column), event.shiftKey);
    else this.actions.profile(column, button);
  }

  private type(event: Event): void {
    const input = event.target as HTMLInputElement;
    const column = this.columnOf(input);
    if (!column) return;
    this.stopTimer(column);
    // What is being typed is often no filter yet; only what stays so is told.
    this.timers.set(
      addressOf(column),
      window.setTimeout(() => this.apply(input), TYPING_MS),
    );
  }

  private press(event: KeyboardEvent): void {
    if (!(event.target instanceof HTMLInputElement) || event.isComposing) return;
    if (event.key === "Enter") this.apply(event.target);
    else if (event.key === "Escape" && event.target.value) {
      event.target.value = "";
      this.apply(event.target);
    }
  }

  private leave(event: Event): void {
    if (event.target instanceof HTMLInputElement) this.apply(event.target);
  }

  private apply(input: HTMLInputElement): void {
    const column = this.columnOf(input);
    if (!column) return;
    this.stopTimer(column);
    try {
      const conditions = parseFilter(column, input.value);
      showMisfit(input, "");
      markUsed(input);
      this.actions.filter({ column: addressOf(column), text: input.value, conditions });
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      showMisfit(input, error.message);
    }
  }

  private stopTimer(column: ColumnInfo): void {
    window.clearTimeout(this.timers.get(addressOf(column)));
    this.timers.delete(addressOf(column));
  }

  private columnOf(inside: HTMLElement): ColumnInfo | undefined {
    const index = inside.closest<HTMLElement>("[data-column]")?.dataset.column;
    return index === undefined ? undefined : this.columns[Number(index)];
  }
}

const HELP =
  "> 5, >= 5, < 5, = x, != x, > 5 & < 9\nabc: text that contains it, abc*: that begins with it\nin a, b\nmissing, present\nQuotes make text of anything";

function showMisfit(input: HTMLInputElement, message: string): void {
  input.setAttribute("aria-invalid", String(message !== ""));
  input.title = message || HELP;
}

function markUsed(input: HTMLInputElement): void {
  input.classList.toggle("used", input.value.trim() !== "");
}
