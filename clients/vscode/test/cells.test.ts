import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blockAt, cellMarks, dedent, paragraphAt } from "../src/pure/cells";

const CELLS = `import pandas as pd

# %% Load
df = pd.read_csv("x.csv")

df.head()

# %% [markdown]
# Some words
#%%
# %% Last
1 + 1
`.split("\n");

describe("cells", () => {
  test("marks of code cells are found, those of text are not", () => {
    assert.deepEqual(cellMarks(CELLS), [2, 9, 10]);
  });

  test("a cell is what stands between two marks, without blank edges", () => {
    const expected = { first: 3, last: 5, code: 'df = pd.read_csv("x.csv")\n\ndf.head()' };
    for (const line of [2, 3, 4, 5, 6]) assert.deepEqual(blockAt(CELLS, line), expected);
  });

  test("what precedes the first mark is a cell", () => {
    assert.deepEqual(blockAt(CELLS, 0), { first: 0, last: 0, code: "import pandas as pd" });
  });

  test("the last cell reaches to the end of the file", () => {
    assert.deepEqual(blockAt(CELLS, 11), { first: 11, last: 11, code: "1 + 1" });
  });

  test("cells of text and empty ones give nothing", () => {
    assert.equal(blockAt(CELLS, 8), null);
    assert.equal(blockAt(CELLS, 9), null);
  });
});

const SCRIPT = `a = 1
b = 2

def f(x):
    y = x

    return y

if a:
    pass
else:

    pass
print(
    a,

    b,
)`.split("\n");

describe("paragraphs", () => {
  const cases: [string, number, [number, number]][] = [
    ["adjoining lines belong together", 1, [0, 1]],
    ["a function reaches over its blank lines, from its head", 3, [3, 6]],
    ["a function reaches over its blank lines, from its end", 6, [3, 6]],
    ["a function reaches over its blank lines, from one of them", 5, [3, 6]],
    ["else belongs to if, and a bracket's contents to the bracket", 12, [8, 17]],
    ["a closing bracket belongs to the opening one", 17, [8, 17]],
  ];
  for (const [name, line, [first, last]] of cases) {
    test(name, () => {
      assert.deepEqual(paragraphAt(SCRIPT, line), { first, last, code: SCRIPT.slice(first, last + 1).join("\n") });
    });
  }

  test("a blank line between statements gives nothing", () => {
    assert.equal(paragraphAt(SCRIPT, 2), null);
    assert.equal(paragraphAt([""], 0), null);
  });
});

describe("dedent", () => {
  test("takes away what all filled lines share", () => {
    assert.equal(dedent("    a\n\n      b\n  \n    c"), "a\n\n  b\n\nc");
  });

  test("leaves a line that begins in the middle of the selection's first line", () => {
    assert.equal(dedent("a\n    b"), "a\n    b");
  });

  test("tells tabs from spaces", () => {
    assert.equal(dedent("\ta\n    b"), "\ta\n    b");
  });
});
