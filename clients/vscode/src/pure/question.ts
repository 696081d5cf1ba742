/** The request of the table view: filters as typed, the sort order, the delimiter. */

import type { ColumnInfo, Condition, SortKey } from "../protocol";
import { addressOf, isNumberType } from "./table";

export type Scalar = string | number | boolean | null;

/** Which rows, in which order; the part of a `viewData` that stays while one pages. */
export interface TableQuestion {
  filter: Condition[];
  sort: SortKey[];
  delimiter: string | null;
}

/** The filter typed above a column, and its parsed form. */
export interface ColumnFilter {
  column: string;
  text: string;
  conditions: Condition[];
}

/** Everything that the user has set in the view, as stored while the window is closed. */
export interface TableState {
  offset: number;
  filters: ColumnFilter[];
  sort: SortKey[];
  delimiter: string | null;
}

/** Thrown when a typed filter is invalid; the message says what is missing. */
export class FilterError extends Error {}

const MAX_SORT_KEYS = 8;
const COMPARISON = /^(!=|<=|>=|=|<|>)\s*(.*)$/s;
/** Where one condition ends and another begins: at an `&` before an operator, so that `AT & T` stays what it is. */
const AND = /\s*&\s*(?=[!<>=])/;
/** Typed dates and times, which are no text to look into; those of text formats (`timestamp`) are. */
const TIMES = /^(date32|date64|time32|time64|timestamp\[)/;
const QUOTED = /^"(?:[^"]|"")*"$/s;

/** The conditions that a text over a column means; none for an empty one.
 *
 * `> 5`, `= x`, `!= x`, `> 5 & < 9`, `in a, b`, `missing`, `present`, `abc*` for a beginning; all else is looked for within the cells,
 * but over numbers, dates and times it is meant as a whole. Quotes make text of anything.
 *
 * @throws FilterError when an operator has nothing to compare with.
 */
export function parseFilter(column: ColumnInfo, text: string): Condition[] {
  const trimmed = text.trim();
  return trimmed === "" ? [] : trimmed.split(AND).map((part) => parseCondition(column, part.trim()));
}

/** The order after a click on a column: ascending, descending, none. `isFurther` leaves the other columns' order in force before it. */
export function nextSort(sort: readonly SortKey[], column: string, isFurther: boolean): SortKey[] {
  const before = sort.find((key) => key.column === column);
  const after = before?.descending ? [] : [{ column, descending: before !== undefined }];
  if (!isFurther) return after;
  if (before === undefined) return [...sort, ...after].slice(-MAX_SORT_KEYS);
  return sort.flatMap((key) => (key.column === column ? after : [key]));
}

/** Return the request of a state. */
export function questionOf(state: TableState): TableQuestion {
  return {
    filter: state.filters.flatMap((filter) => filter.conditions),
    sort: state.sort,
    delimiter: state.delimiter,
  };
}

/** The members of a `viewData` that a question fills; what it leaves open is left out. */
export function viewArguments({ filter, sort, delimiter }: TableQuestion): object {
  return {
    ...(filter.length > 0 && { filter }),
    ...(sort.length > 0 && { sort }),
    ...(delimiter !== null && { delimiter }),
  };
}

/** The filters with one column's exchanged; an empty text takes it away. */
export function withFilter(filters: readonly ColumnFilter[], changed: ColumnFilter): ColumnFilter[] {
  const others = filters.filter((filter) => filter.column !== changed.column);
  return changed.text.trim() === "" ? others : [...others, changed];
}

/** The state that was kept, or the first one for whatever else it is. */
export function restored(kept: unknown): TableState {
  const first: TableState = { offset: 0, filters: [], sort: [], delimiter: null };
  const state = (typeof kept === "object" && kept !== null ? kept : {}) as Partial<TableState>;
  return {
    offset: Number.isInteger(state.offset) ? (state.offset ?? 0) : first.offset,
    filters: Array.isArray(state.filters) ? state.filters : first.filters,
    sort: Array.isArray(state.sort) ? state.sort : first.sort,
    delimiter: typeof state.delimiter === "string" ? state.delimiter : first.delimiter,
  };
}

function parseCondition(column: ColumnInfo, text: string): Condition {
  const name = addressOf(column);
  if (text === "missing" || text === "present") return { column: name, op: text };
  const comparison = COMPARISON.exec(text);
  if (comparison !== null) {
    const [, op = "", operand = ""] = comparison;
    if (operand === "") throw new FilterError(`${op} needs a value after it; write "" for the empty text`);
    return { column: name, op: op as Condition["op"], value: parseValue(column, operand) };
  }
  if (/^in(\s|$)/.test(text)) return { column: name, op: "in", value: parseList(column, text.slice(2)) };
  if (/^[^"].*\*$/s.test(text)) return { column: name, op: "starts_with", value: text.slice(0, -1) };
  if (isNumberType(column.type) || TIMES.test(column.type)) {
    return { column: name, op: "=", value: parseValue(column, text) };
  }
  return { column: name, op: "contains", value: unquoted(text) };
}

function parseList(column: ColumnInfo, text: string): Scalar[] {
  const items = [...text.matchAll(/\s*("(?:[^"]|"")*"|[^,]+)\s*(?:,|$)/g)].map(([, item = ""]) => item.trim());
  const filled = items.filter((item) => item !== "");
  if (filled.length === 0) throw new FilterError("in needs values after it: in a, b");
  return filled.map((item) => parseValue(column, item));
}

/** A number only where the column holds numbers, and only one that stays what it is; as text the daemon reads any exactly. */
function parseValue(column: ColumnInfo, text: string): Scalar {
  const number = Number(text);
  const isExact = Number.isFinite(number) && String(number) === text;
  return isNumberType(column.type) && isExact ? number : unquoted(text);
}

function unquoted(text: string): string {
  return QUOTED.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text;
}
