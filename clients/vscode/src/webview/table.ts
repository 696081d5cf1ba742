/** The script of the table view: shows a page, asks for others. */

import type { FromTable, ToTable } from "../messages";
import { type Page, tableHtml } from "../pure/table";
import { api, element } from "./api";

const problem = element("div", "problem");
const notes = element("div", "notes");
const sheet = element("main", "sheet");
const bar = element("footer");
const range = element("span", "range", "loading …");
const first = button("«", "First rows", () => load(0));
const previous = button("‹", "Rows before", () => load(Math.max(0, offset - pageSize)));
const next = button("›", "Rows after", () => load(offset + pageSize));
const last = button("»", "Last rows", () => send({ type: "loadEnd" }));
const goTo = element("input");

let offset = 0;
let pageSize = 200;
let shown = 0;
let numRows: number | undefined;

function start(): void {
  goTo.placeholder = "row";
  goTo.title = "Go to this row";
  goTo.inputMode = "numeric";
  goTo.addEventListener("change", goToRow);
  bar.append(first, previous, range, next, last, goTo);
  sheet.tabIndex = 0;
  problem.hidden = notes.hidden = true;
  document.body.append(problem, notes, sheet, bar);
  window.addEventListener("message", (event: MessageEvent<ToTable>) => receive(event.data));
  send({ type: "ready", offset: api.getState() ?? 0 });
}

function receive(message: ToTable): void {
  if (message.type === "page") {
    pageSize = message.pageSize;
    show(message.page);
  } else if (message.type === "count") {
    numRows = message.numRows;
    drawBar();
  } else {
    problem.textContent = message.message;
    problem.hidden = false;
    document.body.classList.remove("loading");
    if (shown === 0) range.textContent = "";
  }
}

function show(page: Page): void {
  const isSamePlace = page.offset === offset;
  offset = page.offset;
  api.setState(offset);
  shown = page.rows.length;
  problem.hidden = true;
  notes.textContent = page.warnings.join(" ");
  notes.hidden = page.warnings.length === 0;
  sheet.innerHTML = tableHtml(page);
  if (!isSamePlace) sheet.scrollTop = 0;
  document.body.classList.remove("loading");
  drawBar();
}

function drawBar(): void {
  const number = (value: number): string => value.toLocaleString("en");
  const rows = shown === 0 ? "no rows" : `${number(offset + 1)}–${number(offset + shown)}`;
  range.textContent = numRows === undefined ? `${rows} …` : shown === 0 ? rows : `${rows} of ${number(numRows)}`;
  const end = numRows === undefined ? shown < pageSize : offset + shown >= numRows;
  first.disabled = previous.disabled = offset === 0;
  next.disabled = last.disabled = end;
}

function goToRow(): void {
  const row = Number(goTo.value.replace(/[\s,.']/g, ""));
  goTo.value = "";
  if (Number.isInteger(row) && row > 0) load(Math.min(row, numRows ?? row) - 1);
}

function load(from: number): void {
  document.body.classList.add("loading");
  send({ type: "load", offset: from });
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
