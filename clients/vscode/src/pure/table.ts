/** What the table view sends and shows; shared by the extension and the webview's script. */

import type { ColumnInfo } from "../protocol";
import { type Drawing, draw } from "./drawing";

/** A page of a table, with each cell as text (null stays null). */
export interface Page {
  offset: number;
  columns: ColumnInfo[];
  rows: (string | null)[][];
  warnings: string[];
}

/** The beginnings of numeric types, as text formats (`number`) and typed ones (`uint8`, `decimal128(9, 2)`) have them. */
const NUMBERS = /^(u?int|halffloat|float|double|decimal|number)/i;
const FLOATS = /float|double/i;

/** Cells as text: what the file holds, never rounded or shortened. A float keeps its point, which JSON took from it. */
export function cellText(value: unknown, type = ""): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && FLOATS.test(type)) return value.toFixed(1);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
}

/** Whether a column of this type holds numbers. */
export function isNumberType(type: string): boolean {
  return NUMBERS.test(type);
}

/** The two rows of a table's head: names, which sort, and boxes for filters. */
export function headRows(columns: readonly ColumnInfo[]): Drawing[] {
  return [
    draw("tr", {}, draw("th"), ...columns.map(nameCell)),
    draw("tr", { class: "filters" }, draw("th"), ...columns.map(filterCell)),
  ];
}

/** The rows of a page; they are numbered from 1. */
export function bodyRows(page: Page): Drawing[] {
  const numeric = page.columns.map((column) => isNumberType(column.type));
  return page.rows.map((row, index) => {
    const cells = row.map((cell, column) => valueCell(cell, numeric[column] ?? false));
    return draw("tr", {}, draw("th", { scope: "row" }, (page.offset + index + 1).toLocaleString("en")), ...cells);
  });
}

/** The offset of the last page. */
export function lastOffset(numRows: number, pageSize: number): number {
  return Math.max(0, Math.floor((numRows - 1) / pageSize) * pageSize);
}

/** `text` with the five characters that HTML gives a meaning replaced. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** What a column is asked for by, which no other is. */
export function addressOf(column: ColumnInfo): string {
  return column.address ?? column.name;
}

function nameCell(column: ColumnInfo, index: number): Drawing {
  const about = `What ${addressOf(column)} holds`;
  const sort = `${addressOf(column)}: ${column.type}\nSort; with Shift, within the order there is`;
  return draw(
    "th",
    { scope: "col", ...(isNumberType(column.type) && { class: "number" }), "data-column": String(index) },
    draw("button", { class: "sort", title: sort }, draw("span", {}, column.name), draw("i", { "aria-hidden": "true" })),
    draw(
      "button",
      { class: "about", title: about, "aria-label": about, "aria-haspopup": "dialog" },
      draw("small", {}, column.type),
    ),
  );
}

function filterCell(column: ColumnInfo, index: number): Drawing {
  const attributes = { type: "text", size: "4", spellcheck: "false", placeholder: "filter" };
  const names = { "data-column": String(index), "aria-label": `Filter ${addressOf(column)}` };
  return draw("th", {}, draw("input", { ...attributes, ...names }));
}

function valueCell(cell: string | null, numeric: boolean): Drawing {
  if (cell === null) return draw("td", { class: "null" }, "null");
  return draw("td", numeric ? { class: "number" } : {}, cell);
}
