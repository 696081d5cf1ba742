import assert from "node:assert/strict";
import { test } from "node:test";
import type { ColumnProfile } from "../src/protocol";
import { factsOf, profileParts } from "../src/pure/profile";
import { markup } from "./markup";

const profileMarkup = (profile: ColumnProfile): string => markup(...profileParts(profile));

const CLOSE: ColumnProfile = {
  column: "close",
  type: "number",
  count: 900,
  missing: 100,
  strange: 0,
  distinct: 812,
  distinct_exact: false,
  min: "0.10",
  max: "99.9",
  mean: 49.99999,
  std: 28.8675134,
  histogram: { edges: [0, 50, 100], counts: [300, 600] },
  top: null,
  top_exact: true,
};

const SYMBOL: ColumnProfile = {
  ...CLOSE,
  column: "symbol",
  type: "text",
  missing: 0,
  distinct: 2,
  distinct_exact: true,
  min: null,
  max: null,
  mean: null,
  std: null,
  histogram: null,
  top: [
    { value: "<BTC>", count: 600 },
    { value: "", count: 300 },
  ],
};

test("facts are told as far as they are known", () => {
  assert.deepEqual(factsOf(CLOSE), [
    ["values", "900"],
    ["missing", "100 (10 %)"],
    ["distinct", "about 812"],
    ["min", "0.10"],
    ["max", "99.9"],
    ["mean", "50"],
    ["std", "28.8675"],
  ]);
  assert.deepEqual(factsOf({ ...SYMBOL, strange: 3, distinct: null }), [
    ["values", "900"],
    ["missing", "none"],
    ["no numbers", "3"],
  ]);
});

test("a histogram has a bar for each bin, as high as its share of the fullest", () => {
  const html = profileMarkup(CLOSE);
  assert.match(html, /<title>0 to 50: 300<\/title>/);
  assert.match(html, /<rect class="bar" x="0" y="50" width="9" height="50"><\/rect>/);
  assert.match(html, /<rect class="bar" x="10" y="0" width="9" height="100"><\/rect>/);
  assert.match(html, /<div class="edges"><span>0<\/span><span>100<\/span><\/div>/);
});

test("a bin that holds little is seen, and one that holds nothing is not", () => {
  const html = profileMarkup({ ...CLOSE, histogram: { edges: [0, 1, 2, 3], counts: [1_000_000, 1, 0] } });
  assert.match(html, /x="10" y="99" width="9" height="1"/);
  assert.match(html, /x="20" y="100" width="9" height="0"/);
});

test("frequent values are listed with their counts, as text", () => {
  const html = profileMarkup(SYMBOL);
  assert.match(html, /title="<BTC>"><BTC><\/td>.*width="100".*title="66\.7 %">600<\/td>/);
  assert.match(html, /<em>empty<\/em>/);
  assert.match(html, /<caption>Most frequent<\/caption>/);
  assert.match(profileMarkup({ ...SYMBOL, top_exact: false }), /at least so often/);
});

test("nothing in it needs an inline style, which the view's policy would refuse", () => {
  assert.ok(![CLOSE, SYMBOL].some((profile) => profileMarkup(profile).includes(" style=")));
});
