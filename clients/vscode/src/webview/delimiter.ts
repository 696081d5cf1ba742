/** Where a person says what separates the cells of a text file. */

import { element } from "./api";

const CHOICES: [string, string][] = [
  ["", "Delimiter: found"],
  [",", "Comma ,"],
  [";", "Semicolon ;"],
  ["\t", "Tab"],
  ["|", "Pipe |"],
  [" ", "Space"],
  [":", "Colon :"],
];
const OTHER = "other";

export class DelimiterPicker {
  readonly element = element("span", "delimiter");
  private readonly list = element("select");
  private readonly other = element("input");

  /** `pick` is told each choice; null is to find out. */
  constructor(private readonly pick: (delimiter: string | null) => void) {
    this.list.title = "What separates the cells";
    this.list.setAttribute("aria-label", this.list.title);
    for (const [value, text] of [...CHOICES, [OTHER, "Other …"] as const]) {
      const option = element("option", "", text);
      option.value = value;
      this.list.append(option);
    }
    this.other.maxLength = 1;
    this.other.setAttribute("aria-label", "The delimiter");
    this.other.hidden = true;
    this.list.addEventListener("change", () => this.chooseFromList());
    this.other.addEventListener("input", () => {
      if (this.other.value) this.pick(this.other.value);
    });
    this.element.append(this.list, this.other);
  }

  /** Show a choice that was made before. */
  choose(delimiter: string | null): void {
    const isListed = CHOICES.some(([value]) => value === (delimiter ?? ""));
    this.list.value = isListed ? (delimiter ?? "") : OTHER;
    this.other.value = isListed ? "" : (delimiter ?? "");
    this.other.hidden = isListed;
  }

  private chooseFromList(): void {
    const isOther = this.list.value === OTHER;
    this.other.hidden = !isOther;
    if (isOther) this.other.focus();
    else this.pick(this.list.value || null);
  }
}
