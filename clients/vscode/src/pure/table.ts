/** What the table view sends and shows; shared by the extension and the webview's script. */

import type { Column } from "../protocol";

/** A page of a table, with each cell as text (null stays null). */
export interface Page {
  offset: number;
  columns: Column[];
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

/** The two rows of a table's head in HTML, all text escaped: names, which sort, and boxes for filters. */
export function headHtml(columns: readonly Column[]): string {
  return `<tr><th></th>${columns.map(nameHtml).join("")}</tr><tr class="filters"><th></th>${columns.map(filterHtml).join("")}</tr>`;
}

/** The rows of a page in HTML, all text escaped; they are numbered from 1. */
export function bodyHtml(page: Page): string {
  const numeric = page.columns.map((column) => isNumberType(column.type));
  const rows = page.rows.map((row, index) => {
    const cells = row.map((cell, column) => cellHtml(cell, numeric[column] ?? false));
    return `<tr><th scope="row">${(page.offset + index + 1).toLocaleString("en")}</th>${cells.join("")}</tr>`;
  });
  return rows.join("\n");
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
export function addressOf(column: Column): string {
  return column.address ?? column.name;
}

function nameHtml(column: Column, index: number): string {
  const address = escapeHtml(addressOf(column));
  return (
    `<th scope="col"${isNumberType(column.type) ? ' class="number"' : ""} data-column="${index}">` +
    `<button class="sort" title="${escapeHtml(`${addressOf(column)}: ${column.type}`)}\nSort; with Shift, within the order there is">` +
    `<span>${escapeHtml(column.name)}</span><i aria-hidden="true"></i></button>` +
    `<button class="about" title="What ${address} holds" aria-label="What ${address} holds" aria-haspopup="dialog">` +
    `<small>${escapeHtml(column.type)}</small></button></th>`
  );
}

function filterHtml(column: Column, index: number): string {
  return (
    `<th><input type="text" size="4" spellcheck="false" data-column="${index}" placeholder="filter" ` +
    `aria-label="Filter ${escapeHtml(addressOf(column))}"></th>`
  );
}

function cellHtml(cell: string | null, numeric: boolean): string {
  if (cell === null) return '<td class="null">null</td>';
  return `<td${numeric ? ' class="number"' : ""}>${escapeHtml(cell)}</td>`;
}
