import assert from "node:assert/strict";
import { test } from "node:test";
import { type Edit, movedLine } from "../src/pure/anchors";

function edit(start: [number, number], end: [number, number], text: string): Edit {
  return { start: { line: start[0], character: start[1] }, end: { line: end[0], character: end[1] }, text };
}

const CASES: [string, Edit[], number | null][] = [
  ["an edit below changes nothing", [edit([6, 0], [8, 2], "x")], 5],
  ["a line inserted above moves it down", [edit([2, 3], [2, 3], "\n")], 6],
  ["a line removed above moves it up", [edit([1, 0], [2, 0], "")], 4],
  ["several edits of one change add up", [edit([1, 0], [1, 0], "a\nb\n"), edit([3, 0], [4, 0], "")], 6],
  ["a line break at its start moves it down", [edit([5, 0], [5, 0], "\n")], 6],
  ["a line break at its end leaves it", [edit([5, 9], [5, 9], "\n")], 5],
  ["typing in it leaves its number", [edit([5, 2], [5, 3], "x")], 5],
  ["the line above joined to nothing, up to its start", [edit([4, 0], [5, 0], "")], 4],
  ["a deletion from above into it takes it away", [edit([4, 2], [5, 3], "")], null],
];

for (const [name, edits, expected] of CASES) {
  test(name, () => assert.equal(movedLine(5, edits), expected));
}
