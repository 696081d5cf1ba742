/** A column's profile as a person reads it. */

import type { Profile, Scalar } from "../protocol";
import { cellText, escapeHtml } from "./table";

const BAR_WIDTH = 10;
const HEIGHT = 100;
const DIGITS = 6;

/** The profile in HTML, all text escaped: facts, a histogram, the most frequent values. */
export function profileHtml(profile: Profile): string {
  const facts = factsOf(profile).map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`);
  return `<dl>${facts.join("")}</dl>${histogramHtml(profile)}${topHtml(profile)}`;
}

/** Names and values of what is known. */
export function factsOf(profile: Profile): [string, string][] {
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

function histogramHtml({ histogram, type }: Profile): string {
  if (histogram === null || histogram.counts.length === 0) return "";
  const { edges, counts } = histogram;
  const edge = (index: number): string => escapeHtml(short(edges[index] ?? null) ?? cellText(edges[index], type) ?? "");
  const most = Math.max(1, ...counts);
  const bars = counts.map((count, index) => {
    // What is there at all is seen.
    const height = count === 0 ? 0 : Math.max(1, (HEIGHT * count) / most);
    const title = `${edge(index)} to ${edge(index + 1)}: ${number(count)}`;
    // The transparent one makes the whole height answer to the mouse.
    return (
      `<g><title>${title}</title>` +
      `<rect class="room" x="${index * BAR_WIDTH}" y="0" width="${BAR_WIDTH}" height="${HEIGHT}"/>` +
      `<rect class="bar" x="${index * BAR_WIDTH}" y="${round(HEIGHT - height)}" width="${BAR_WIDTH - 1}" height="${round(height)}"/></g>`
    );
  });
  const label = `Histogram of ${counts.length} bins; the fullest has ${number(most)}`;
  return (
    `<svg class="histogram" role="img" aria-label="${label}" preserveAspectRatio="none" ` +
    `viewBox="0 0 ${counts.length * BAR_WIDTH} ${HEIGHT}">${bars.join("")}</svg>` +
    `<div class="edges"><span>${edge(0)}</span><span>${edge(edges.length - 1)}</span></div>`
  );
}

function topHtml({ top, top_exact, count, type }: Profile): string {
  if (top === null || top.length === 0) return "";
  const most = Math.max(1, ...top.map((each) => each.count));
  const rows = top.map(({ value, count: times }) => {
    const text = escapeHtml(cellText(value, type) ?? "null");
    return (
      `<tr><td class="value" title="${text}">${text === "" ? "<em>empty</em>" : text}</td>` +
      `<td><svg preserveAspectRatio="none" viewBox="0 0 100 1"><rect class="bar" width="${round((100 * times) / most)}" height="1"/></svg></td>` +
      `<td class="number" title="${percent(times, count)}">${number(times)}</td></tr>`
    );
  });
  const title = top_exact ? "Most frequent" : "Most frequent; at least so often";
  return `<table class="top"><caption>${title}</caption>${rows.join("")}</table>`;
}

/** A number in a few digits; null for what is none. */
function short(value: Scalar): string | null {
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
