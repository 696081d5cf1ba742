import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, middleCut, oneLine, plainOutput, tail } from "../src/pure/text";

test("one line has no breaks and a mark where it was cut", () => {
  assert.equal(oneLine("  a\n  b\tc "), "a b c");
  assert.equal(oneLine("abcdef", 4), "abc…");
  assert.equal(oneLine("abcdef", 6), "abcdef");
});

test("cutting never splits a character of two units", () => {
  assert.equal(oneLine("📈📈📈", 2), "📈…");
});

test("the tail starts at a line", () => {
  assert.equal(tail("short", 10), "short");
  assert.equal(tail("first line\nsecond\nthird", 15), "…\nsecond\nthird");
  assert.equal(tail("abcdefghij", 4), "…\nghij");
});

test("a cut in the middle keeps both ends and says how much is gone", () => {
  assert.equal(
    middleCut("x".repeat(10) + "y".repeat(2000) + "z".repeat(10), 20),
    `${"x".repeat(10)}\n… 2,000 characters …\n${"z".repeat(10)}`,
  );
});

test("durations are told when they matter", () => {
  assert.deepEqual([0.1, 0.5, 59, 125].map(duration), ["", "0.5 s", "59.0 s", "2 min 5 s"]);
});

test("progress bars show their last state, and colours vanish", () => {
  assert.equal(plainOutput("10 %\r50 %\r100 %\nnext\r\n\u001b[31mred\u001b[0m"), "100 %\nnext\nred");
});
