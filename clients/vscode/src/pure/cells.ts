/** Which lines of a Python file to run: cells between `# %%` marks, or the statement around the cursor. Lines count from 0. */

/** Whole lines `first` to `last`, both included, and the code that they hold. */
export interface CodeBlock {
  first: number;
  last: number;
  code: string;
}

const MARK = /^\s*#\s*%%/;
const TEXT_CELL = /^\s*#\s*%%\s*\[(markdown|md|raw)\]/i;
const CONTINUES = /^(\s|[)\]}]|(else|elif|except|finally)\b)/;

/** The lines with `# %%` marks of cells that hold code. */
export function cellMarks(lines: readonly string[]): number[] {
  return [...lines.keys()].filter((index) => isMark(lines[index]) && !TEXT_CELL.test(lines[index] ?? ""));
}

/** What to run for a cursor in `line`: its cell if the file has cells, else the paragraph around it; null for nothing. */
export function blockAt(lines: readonly string[], line: number): CodeBlock | null {
  return lines.some(isMark) ? cellAt(lines, line) : paragraphAt(lines, line);
}

/** The code of the cell around `line`, without its mark; null for an empty cell and one of text. */
export function cellAt(lines: readonly string[], line: number): CodeBlock | null {
  let start = line;
  while (start >= 0 && !isMark(lines[start])) start--;
  if (TEXT_CELL.test(lines[start] ?? "")) return null;
  let end = line + 1;
  while (end < lines.length && !isMark(lines[end])) end++;
  return block(lines, start + 1, end - 1);
}

/** Adjoining lines around `line`, widened to whole statements; null on blank lines alone. */
export function paragraphAt(lines: readonly string[], line: number): CodeBlock | null {
  let first = line;
  let last = line;
  if (isBlank(lines[line])) {
    // On a blank line inside an indented block that block is meant, else nothing is.
    const next = nextFilled(lines, line);
    if (next === null || !continues(lines[next])) return null;
  }
  while (first > 0 && (!isBlank(lines[first - 1]) || needsMoreAbove(lines, first))) first--;
  for (;;) {
    const next = nextFilled(lines, last);
    if (next === null || (next > last + 1 && !continues(lines[next]))) break;
    last = next;
  }
  return block(lines, first, last);
}

/** `code` without the indentation that all its lines share, as when a part of a function is selected. */
export function dedent(code: string): string {
  const lines = code.split("\n");
  const filled = lines.filter((line) => !isBlank(line));
  const indents = filled.map((line) => /^[ \t]*/.exec(line)?.[0] ?? "");
  let common = indents[0] ?? "";
  for (const indent of indents) {
    while (!indent.startsWith(common)) common = common.slice(0, -1);
  }
  return lines.map((line) => (isBlank(line) ? "" : line.slice(common.length))).join("\n");
}

function block(lines: readonly string[], from: number, to: number): CodeBlock | null {
  let first = Math.max(from, 0);
  let last = Math.min(to, lines.length - 1);
  while (first <= last && isBlank(lines[first])) first++;
  while (last >= first && isBlank(lines[last])) last--;
  if (first > last) return null;
  return { first, last, code: dedent(lines.slice(first, last + 1).join("\n")) };
}

function needsMoreAbove(lines: readonly string[], first: number): boolean {
  for (let index = first; index < lines.length; index++) {
    if (!isBlank(lines[index])) return continues(lines[index]);
  }
  return false;
}

function nextFilled(lines: readonly string[], line: number): number | null {
  for (let index = line + 1; index < lines.length; index++) {
    if (!isBlank(lines[index])) return index;
  }
  return null;
}

function isMark(line: string | undefined): boolean {
  return MARK.test(line ?? "");
}

function isBlank(line: string | undefined): boolean {
  return (line ?? "").trim() === "";
}

function continues(line: string | undefined): boolean {
  return CONTINUES.test(line ?? "");
}
