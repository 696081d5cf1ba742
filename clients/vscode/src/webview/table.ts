/** The script of the table view: shows a page, asks for others, in the order and under the conditions that a person sets. */

import type { FromTable, TableWork, ToTable } from "../messages";
import type { ColumnInfo } from "../protocol";
import { type ColumnFilter, nextSort, questionOf, restored, type TableState, withFilter } from "../pure/question";
import { bodyRows, type Page } from "../pure/table";
import { api, element } from "./api";
import { fill } from "./build";
import { DelimiterPicker } from "./delimiter";
import { Head } from "./head";
import { ProfileBox } from "./profile";

/** How long work may take before there is a word about it, so that nothing flickers. */
const PATIENCE_MS = 400;

const problem = element("div", "problem");
const notes = element("div", "notes");
const sheet = element("main", "sheet");
const table = element("table");
const body = element("tbody");
const bar = element("footer");
const range = element("span", "range", "loading …");
const first = button("«", "First rows", () => load(0));
const previous = button("‹", "Rows before", () => load(Math.max(0, state.offset - pageSize)));
const next = button("›", "Rows after", () => load(state.offset + pageSize));
const last = button("»", "Last rows", () => load("end"));
const goTo = element("input");
const busy = element("span", "busy");
const cancel = button("Cancel", "Stop reading; the rows in sight stay", cancelLoading);
const reset = button("Show all", "Take filters and order away", showAll);

const head = new Head({ sort, filter, profile: openProfile });
// Other cells are other columns, of which the filters and the order know nothing.
const picker = new DelimiterPicker((delimiter) => change({ delimiter, filters: [], sort: [] }));
const box = new ProfileBox({
  load: (column) => send({ type: "profile", column }),
  cancel: () => send({ type: "cancel", works: ["profile"] }),
});

let state: TableState = restored(api.getState());
let pageSize = 200;
let shown = 0;
let numRows: number | undefined;
/** What is being read for, and how much of it is done; the page counts for more than the number of rows. */
const working = new Map<TableWork, number>();
let patience = 0;

function start(): void {
  goTo.className = "row";
  goTo.placeholder = "row";
  goTo.title = "Go to this row";
  goTo.inputMode = "numeric";
  goTo.addEventListener("change", goToRow);
  range.setAttribute("aria-live", "polite");
  problem.setAttribute("role", "alert");
  bar.append(first, previous, range, next, last, goTo, busy, cancel, element("span", "space"), reset, picker.element);
  table.append(head.element, body);
  sheet.append(table);
  sheet.tabIndex = 0;
  problem.hidden = notes.hidden = busy.hidden = cancel.hidden = true;
  picker.choose(state.delimiter);
  document.body.append(problem, notes, sheet, bar);
  window.addEventListener("message", (event: MessageEvent<ToTable>) => receive(event.data));
  drawBar();
  load(state.offset, true);
}

function receive(message: ToTable): void {
  switch (message.type) {
    case "about":
      picker.element.hidden = !message.isDelimited;
      break;
    case "page":
      pageSize = message.pageSize;
      show(message.page);
      break;
    case "count":
      numRows = message.numRows;
      settle("count");
      break;
    case "profile":
      box.show(message.profile);
      break;
    case "progress":
      if (message.work === "profile") box.progress(message.percentage);
      else work(message.work, message.percentage);
      break;
    case "problem":
      if (message.work === "profile") box.fail(message.message);
      else fail(message.message);
      break;
  }
}

function show(page: Page): void {
  const isSamePlace = page.offset === state.offset;
  keep({ offset: page.offset });
  shown = page.rows.length;
  problem.hidden = true;
  notes.textContent = page.warnings.join(" ");
  notes.hidden = page.warnings.length === 0;
  head.draw(page.columns, state.filters, state.sort);
  fill(body, bodyRows(page));
  if (!isSamePlace) sheet.scrollTop = 0;
  settle("page");
}

/** Tell what is wrong in place; the rows that are there stay. */
function fail(message: string): void {
  tell(message, "problem");
  if (shown === 0) range.textContent = "";
  settle("page", "count");
}

function tell(message: string, kind: "problem" | "notes"): void {
  problem.className = kind;
  problem.textContent = message;
  problem.hidden = false;
}

function sort(column: string, isFurther: boolean): void {
  change({ sort: nextSort(state.sort, column, isFurther) });
  head.mark(state.sort);
}

function filter(changed: ColumnFilter): void {
  const before = state.filters.find((each) => each.column === changed.column);
  if ((before?.text ?? "").trim() !== changed.text.trim()) change({ filters: withFilter(state.filters, changed) });
}

function showAll(): void {
  change({ filters: [], sort: [] });
  head.fill([]);
  head.mark([]);
}

function openProfile(column: ColumnInfo, near: HTMLElement): void {
  box.open(column, near, state.filters.length > 0 ? "Of the rows that meet the filter" : "");
}

/** Ask something else of the file; its rows are counted anew from the first. */
function change(changed: Partial<TableState>): void {
  keep({ ...changed, offset: 0 });
  sheet.scrollTop = 0;
  if (!("sort" in changed) || "filters" in changed) numRows = undefined;
  box.close(false);
  load(0);
}

function load(offset: number | "end", isFirst = false): void {
  work("page", 0);
  // What was wrong before may not be any more.
  problem.hidden = true;
  send({ type: "ask", question: questionOf(state), offset, isFirst });
}

function cancelLoading(): void {
  send({ type: "cancel", works: ["page", "count"] });
  const wasPage = working.has("page");
  settle("page", "count");
  if (!wasPage) return;
  tell("Cancelled: the rows below are those from before.", "notes");
}

function work(kind: TableWork, percentage: number): void {
  if (working.size === 0) patience = window.setTimeout(drawBar, PATIENCE_MS);
  working.set(kind, percentage);
  document.body.classList.toggle("loading", working.has("page"));
  if (!busy.hidden) drawBar();
}

function settle(...kinds: TableWork[]): void {
  kinds.forEach((kind) => working.delete(kind));
  if (working.size === 0) window.clearTimeout(patience);
  document.body.classList.toggle("loading", working.has("page"));
  drawBar();
}

function drawBar(): void {
  const number = (value: number): string => value.toLocaleString("en");
  const rows = shown === 0 ? "no rows" : `${number(state.offset + 1)}–${number(state.offset + shown)}`;
  const all = state.filters.length > 0 ? " matching" : "";
  if (working.has("page") && shown === 0) range.textContent = "loading …";
  else if (numRows === undefined) range.textContent = `${rows} …`;
  else range.textContent = shown === 0 ? rows : `${rows} of ${number(numRows)}${all}`;
  const end = numRows === undefined ? shown < pageSize : state.offset + shown >= numRows;
  first.disabled = previous.disabled = state.offset === 0;
  next.disabled = last.disabled = end;
  reset.hidden = state.filters.length === 0 && state.sort.length === 0;
  drawWork();
}

function drawWork(): void {
  busy.hidden = cancel.hidden = working.size === 0;
  const percentage = working.get("page") ?? working.get("count") ?? 0;
  busy.textContent = `${working.has("page") ? "reading" : "counting"} …${percentage > 0 ? ` ${percentage} %` : ""}`;
}

function goToRow(): void {
  const row = Number(goTo.value.replace(/[\s,.']/g, ""));
  goTo.value = "";
  if (Number.isInteger(row) && row > 0) load(Math.min(row, numRows ?? row) - 1);
}

function keep(changed: Partial<TableState>): void {
  state = { ...state, ...changed };
  api.setState(state);
}

function send(message: FromTable): void {
  api.postMessage(message);
}

function button(text: string, title: string, action: () => void): HTMLButtonElement {
  const made = element("button", "", text);
  made.title = title;
  made.addEventListener("click", action);
  return made;
}

start();
