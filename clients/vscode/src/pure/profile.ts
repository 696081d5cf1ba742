/** Format a column's profile. */

import type { ColumnProfile } from "../protocol";
import { type Drawing, draw } from "./drawing";
import { cellText } from "./table";

const BAR_WIDTH = 10;
const HEIGHT = 100;
const DIGITS = 6;

/** The profile: facts, a histogram, the most frequent values. */
export function profileParts(profile: ColumnProfile): Drawing[] {
  const facts = factsOf(profile).flatMap(([name, value]) => [draw("dt", {}, name), draw("dd", {}, value)]);
  return [draw("dl", {}, ...facts), ...histogramParts(profile), ...topParts(profile)];
}

/** Return the names and values of the known facts. */
export function factsOf(profile: ColumnProfile): [string, string][] {
  const { count, missing, strange, distinct, type } = profile;
  const facts: [string, string | null][] = [
    ["values", number(count)],
    ["missing", missing === 0 ? "none" : `${number(missing)} (${percent(missing, count + missing)})`],
    ["no numbers", strange > 0 ? number(strange) : null],
    ["distinct", distinct === null ? null : (profile.distinct_exact ? "" : "about ") + number(distinct)],
    ["min", cellText(profile.min, type)],
    ["max", cellText(profile.max, type)],
    ["mean", short(profile.mean)],
    ["std", short(profile.std)],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== null);
}

function histogramParts({ histogram, type }: ColumnProfile): Drawing[] {
  if (histogram === null || histogram.counts.length === 0) return [];
  const { edges, counts } = histogram;
  const edge = (index: number): string => short(edges[index] ?? null) ?? cellText(edges[index], type) ?? "";
  const most = Math.max(1, ...counts);
  const bars = counts.map((count, index) => {
    // A count above zero is always visible.
    const height = count === 0 ? 0 : Math.max(1, (HEIGHT * count) / most);
    const title = `${edge(index)} to ${edge(index + 1)}: ${number(count)}`;
    // The transparent bar makes the whole height react to the mouse.
    return draw(
      "g",
      {},
      draw("title", {}, title),
      rectangle("room", index * BAR_WIDTH, 0, BAR_WIDTH, HEIGHT),
      rectangle("bar", index * BAR_WIDTH, round(HEIGHT - height), BAR_WIDTH - 1, round(height)),
    );
  });
  const label = `Histogram of ${counts.length} bins; the fullest has ${number(most)}`;
  const box = `0 0 ${counts.length * BAR_WIDTH} ${HEIGHT}`;
  const attributes = {
    class: "histogram",
    role: "img",
    "aria-label": label,
    preserveAspectRatio: "none",
    viewBox: box,
  };
  const ends = [0, edges.length - 1].map((index) => draw("span", {}, edge(index)));
  return [draw("svg", attributes, ...bars), draw("div", { class: "edges" }, ...ends)];
}

function topParts({ top, top_exact, count, type }: ColumnProfile): Drawing[] {
  if (top === null || top.length === 0) return [];
  const most = Math.max(1, ...top.map((each) => each.count));
  const rows = top.map(({ value, count: times }) => {
    const text = cellText(value, type) ?? "null";
    const share = draw(
      "svg",
      { preserveAspectRatio: "none", viewBox: "0 0 100 1" },
      rectangle("bar", 0, 0, round((100 * times) / most), 1),
    );
    return draw(
      "tr",
      {},
      draw("td", { class: "value", title: text }, text === "" ? draw("em", {}, "empty") : text),
      draw("td", {}, share),
      draw("td", { class: "number", title: percent(times, count) }, number(times)),
    );
  });
  const title = top_exact ? "Most frequent" : "Most frequent; at least so often";
  return [draw("table", { class: "top" }, draw("caption", {}, title), ...rows)];
}

function rectangle(name: string, x: number, y: number, width: number, height: number): Drawing {
  const place = Object.fromEntries(Object.entries({ x, y, width, height }).map(([key, value]) => [key, String(value)]));
  return draw("rect", { class: name, ...place });
}

/** Return a number in a few digits; null when it is not a number. */
function short(value: string | number | null): string | null {
  if (typeof value === "string" && value !== "") return value;
  if (typeof value !== "number") return null;
  return Number.isInteger(value) && Math.abs(value) < 1e15
    ? value.toLocaleString("en")
    : String(Number(value.toPrecision(DIGITS)));
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function percent(part: number, whole: number): string {
  if (whole === 0) return "0 %";
  const share = (100 * part) / whole;
  return `${share > 0 && share < 0.1 ? "< 0.1" : share.toFixed(1).replace(/\.0$/, "")} %`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
