import assert from "node:assert/strict";
import { test } from "node:test";
import { draw } from "../src/pure/drawing";
import { bodyRows, cellText, headRows, lastOffset } from "../src/pure/table";
import { markup } from "./markup";

test("cells are shown as the file has them", () => {
  assert.deepEqual(
    ["007", "NA", "1E5", "", null, true, 7].map((cell) => cellText(cell)),
    ["007", "NA", "1E5", "", null, "true", "7"],
  );
  assert.equal(cellText("12345678901234567890", "uint64"), "12345678901234567890");
});

test("a float that is whole keeps its point", () => {
  assert.equal(cellText(100, "double"), "100.0");
  assert.equal(cellText(0.1, "double"), "0.1");
  assert.equal(cellText(1e300, "double"), "1e+300");
});

test("columns of one name are shown by it, and told apart by what they are asked for by", () => {
  const head = markup(
    ...headRows([
      { name: "a", type: "integer" },
      { name: "a", type: "integer", address: "a_2" },
    ]),
  );
  assert.equal(head.split("<span>a</span>").length, 3);
  assert.match(head, /title="a: integer/);
  assert.match(head, /title="a_2: integer/);
  assert.match(head, /aria-label="Filter a_2"/);
});

test("a table holds text as text, numbers stand right, and rows count from 1", () => {
  const columns = [
    { name: "<b>", type: "string" },
    { name: "close", type: "double" },
  ];
  const [row] = bodyRows({ offset: 1000, columns, rows: [["<script>", null]], warnings: [] });
  assert.deepEqual(row?.children, [
    draw("th", { scope: "row" }, "1,001"),
    draw("td", {}, "<script>"),
    draw("td", { class: "null" }, "null"),
  ]);
  const head = headRows(columns);
  const tags = markup(...head).match(/<\w+/g);
  assert.deepEqual([...new Set(tags)].sort(), ["<b", "<button", "<i", "<input", "<small", "<span", "<th", "<tr"]);
  const [, name, number] = head[0]?.children ?? [];
  assert.ok(name !== undefined && number !== undefined);
  assert.match(markup(name), /<span><b><\/span>/);
  assert.match(markup(number), /<th scope="col" class="number" data-column="1">/);
  assert.match(markup(...head.slice(1)), /<input [^>]*data-column="1"[^>]*aria-label="Filter close">/);
});

test("the last page starts at a multiple of its size", () => {
  assert.deepEqual(
    [0, 1, 200, 201, 10_000_000].map((rows) => lastOffset(rows, 200)),
    [0, 0, 0, 200, 9_999_800],
  );
});
