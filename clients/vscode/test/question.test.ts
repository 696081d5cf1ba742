import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  FilterError,
  nextSort,
  parseFilter,
  questionOf,
  restored,
  type TableState,
  viewArguments,
  withFilter,
} from "../src/pure/question";

const CLOSE = { name: "close", type: "number" };
const AT = { name: "at", type: "timestamp[us]" };
const SYMBOL = { name: "symbol", type: "text" };

test("a column is asked for by its address, where others have its name", () => {
  const second = { name: "close", type: "number", address: "close_2" };
  assert.deepEqual(parseFilter(second, "> 1"), [{ column: "close_2", op: ">", value: 1 }]);
});

describe("filters", () => {
  const cases: [typeof CLOSE, string, object[]][] = [
    [CLOSE, "  ", []],
    [CLOSE, "> 100", [{ column: "close", op: ">", value: 100 }]],
    [CLOSE, ">=1.5e3", [{ column: "close", op: ">=", value: "1.5e3" }]],
    [CLOSE, "= -0.5", [{ column: "close", op: "=", value: -0.5 }]],
    [CLOSE, "< Infinity", [{ column: "close", op: "<", value: "Infinity" }]],
    [CLOSE, "100", [{ column: "close", op: "=", value: 100 }]],
    [CLOSE, '"100"', [{ column: "close", op: "=", value: "100" }]],
    [AT, "2024-01-31", [{ column: "at", op: "=", value: "2024-01-31" }]],
    [{ ...AT, type: "timestamp" }, "2024-01", [{ column: "at", op: "contains", value: "2024-01" }]],
    [CLOSE, "!= 12345678901234567890", [{ column: "close", op: "!=", value: "12345678901234567890" }]],
    [
      CLOSE,
      "> 10 & < 20",
      [
        { column: "close", op: ">", value: 10 },
        { column: "close", op: "<", value: 20 },
      ],
    ],
    [CLOSE, "in 1, 2", [{ column: "close", op: "in", value: [1, 2] }]],
    [CLOSE, "missing", [{ column: "close", op: "missing" }]],
    [CLOSE, " present ", [{ column: "close", op: "present" }]],
    [SYMBOL, "btc", [{ column: "symbol", op: "contains", value: "btc" }]],
    [SYMBOL, "100", [{ column: "symbol", op: "contains", value: "100" }]],
    [SYMBOL, "=007", [{ column: "symbol", op: "=", value: "007" }]],
    [SYMBOL, '= ""', [{ column: "symbol", op: "=", value: "" }]],
    [SYMBOL, '"missing"', [{ column: "symbol", op: "contains", value: "missing" }]],
    [SYMBOL, '"say ""hi"""', [{ column: "symbol", op: "contains", value: 'say "hi"' }]],
    [SYMBOL, "BT*", [{ column: "symbol", op: "starts_with", value: "BT" }]],
    [SYMBOL, "*", [{ column: "symbol", op: "contains", value: "*" }]],
    [SYMBOL, "AT & T", [{ column: "symbol", op: "contains", value: "AT & T" }]],
    [SYMBOL, 'in BTC, "a,b"', [{ column: "symbol", op: "in", value: ["BTC", "a,b"] }]],
    [SYMBOL, "inside", [{ column: "symbol", op: "contains", value: "inside" }]],
  ];
  for (const [column, text, conditions] of cases) {
    test(`${JSON.stringify(text)} over ${column.name}`, () => assert.deepEqual(parseFilter(column, text), conditions));
  }

  test("an operator without a value is no filter yet", () => {
    for (const text of [">", "= ", "!=", "in", "in  ,", "> 1 & <"]) {
      assert.throws(() => parseFilter(CLOSE, text), FilterError);
    }
  });

  test("a column has one filter, and an empty one takes it away", () => {
    const filters = [{ column: "a", text: "1", conditions: [] }];
    const other = { column: "b", text: "2", conditions: [] };
    assert.deepEqual(withFilter(filters, other), [...filters, other]);
    assert.deepEqual(withFilter(filters, { column: "a", text: " ", conditions: [] }), []);
  });
});

describe("sorting", () => {
  const up = (column: string) => ({ column, descending: false });
  const down = (column: string) => ({ column, descending: true });

  test("a click sorts ascending, then descending, then not", () => {
    assert.deepEqual(nextSort([], "a", false), [up("a")]);
    assert.deepEqual(nextSort([up("a")], "a", false), [down("a")]);
    assert.deepEqual(nextSort([down("a")], "a", false), []);
    assert.deepEqual(nextSort([down("b"), up("a")], "c", false), [up("c")]);
  });

  test("a further column orders what the first left equal, and keeps its place", () => {
    assert.deepEqual(nextSort([up("a")], "b", true), [up("a"), up("b")]);
    assert.deepEqual(nextSort([up("a"), up("b")], "a", true), [down("a"), up("b")]);
    assert.deepEqual(nextSort([down("a"), up("b")], "a", true), [up("b")]);
  });

  test("there are no more keys than the daemon takes", () => {
    const eight = ["a", "b", "c", "d", "e", "f", "g", "h"].map(up);
    assert.deepEqual(nextSort(eight, "i", true), [...eight.slice(1), up("i")]);
  });
});

describe("the question", () => {
  const state: TableState = {
    offset: 400,
    filters: [
      { column: "close", text: "> 1 & < 2", conditions: parseFilter(CLOSE, "> 1 & < 2") },
      { column: "symbol", text: "btc", conditions: parseFilter(SYMBOL, "btc") },
    ],
    sort: [{ column: "close", descending: true }],
    delimiter: ";",
  };

  test("has all conditions, and leaves out what is not asked", () => {
    assert.deepEqual(viewArguments(questionOf(state)), {
      filter: [
        { column: "close", op: ">", value: 1 },
        { column: "close", op: "<", value: 2 },
        { column: "symbol", op: "contains", value: "btc" },
      ],
      sort: [{ column: "close", descending: true }],
      delimiter: ";",
    });
    assert.deepEqual(viewArguments(questionOf(restored(undefined))), {});
  });

  test("is kept over a closed window, and whatever else was kept is no harm", () => {
    assert.deepEqual(restored(JSON.parse(JSON.stringify(state))), state);
    const first = { offset: 0, filters: [], sort: [], delimiter: null };
    for (const kept of [undefined, null, 400, "x", { offset: "x", filters: 1 }])
      assert.deepEqual(restored(kept), first);
  });
});
