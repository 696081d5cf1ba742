import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyHtml, cellText, escapeHtml, headHtml, lastOffset } from "../src/pure/table";

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
  const head = headHtml([
    { name: "a", type: "integer" },
    { name: "a", type: "integer", address: "a_2" },
  ]);
  assert.equal(head.split("<span>a</span>").length, 3);
  assert.match(head, /title="a: integer/);
  assert.match(head, /title="a_2: integer/);
  assert.match(head, /aria-label="Filter a_2"/);
});

test("a table is escaped, numbers stand right, and rows count from 1", () => {
  const columns = [
    { name: "<b>", type: "string" },
    { name: "close", type: "double" },
  ];
  const head = headHtml(columns);
  const body = bodyHtml({ offset: 1000, columns, rows: [["<script>", null]], warnings: [] });
  assert.ok(!body.includes("<script>") && !head.includes("<b>"));
  assert.match(body, /<th scope="row">1,001<\/th><td>&lt;script&gt;<\/td><td class="null">null<\/td>/);
  assert.match(head, /<th scope="col" class="number" data-column="1">/);
  assert.match(head, /<input [^>]*data-column="1"[^>]*aria-label="Filter close">/);
  assert.equal(escapeHtml(`&<>"'`), "&amp;&lt;&gt;&quot;&#39;");
});

test("the last page starts at a multiple of its size", () => {
  assert.deepEqual(
    [0, 1, 200, 201, 10_000_000].map((rows) => lastOffset(rows, 200)),
    [0, 0, 0, 200, 9_999_800],
  );
});
