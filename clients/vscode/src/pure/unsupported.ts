/** Numbers of an answer that appear in no output of its conversation: find them, and describe them. */

import type { UnsupportedNumber } from "../protocol";
import { visible } from "./inert";

/** The tooltip of a marked number. */
export const WHY = "This number appears in no output of the conversation. Check it before you use it.";

/** Signs around a marked number while its answer is parsed: characters that no text has and that have no meaning in Markdown. */
const BEGIN = "\ufdd0";
const END = "\ufdd1";
const SIGNS = /[\ufdd0\ufdd1]/g;
const MARKED = /\ufdd0([^\ufdd0\ufdd1]*)\ufdd1/;
const MAX_NAMED = 10;

/** A part of a text, counted in units of UTF-16, as JavaScript counts. */
interface Range {
  start: number;
  end: number;
}

/** `text` made visible, with signs around the numbers; what looks like a sign in it is none any more. */
export function signed(text: string, numbers: readonly UnsupportedNumber[] = []): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end } of ranges(text, numbers)) {
    parts.push(plain(text.slice(at, start)), BEGIN, plain(text.slice(start, end)), END);
    at = end;
  }
  parts.push(plain(text.slice(at)));
  return parts.join("");
}

/** The text between the signs of a part of a signed text: every second piece is a marked number. */
export function pieces(text: string): string[] {
  return text.split(MARKED).map((piece) => piece.replace(SIGNS, ""));
}

/** Return a sentence that lists the numbers; empty if there are none. */
export function unsupportedNote(numbers: readonly UnsupportedNumber[] = []): string {
  if (numbers.length === 0) return "";
  const named = numbers.slice(0, MAX_NAMED).map((each) => each.text);
  if (numbers.length > MAX_NAMED) named.push("…");
  return `⚠ In no output of this conversation: ${named.join(", ")}. Check before you use it.`;
}

/**
 * Where the numbers stand. The daemon counts Unicode code points, of which those above U+FFFF are two units here. What does not stand
 * where it is said to stand is left out, and so is what overlaps.
 */
function ranges(text: string, numbers: readonly UnsupportedNumber[]): Range[] {
  const wanted = [...numbers].sort((one, other) => one.start - other.start);
  const found: Range[] = [];
  let points = 0;
  let units = 0;
  for (const number of wanted) {
    if (number.start < points) continue;
    const start = advanced(text, units, number.start - points);
    const end = start + number.text.length;
    if (number.text === "" || text.slice(start, end) !== number.text) continue;
    found.push({ start, end });
    [points, units] = [number.end, end];
  }
  return found;
}

/** Return the index of the unit `count` code points after the unit `at`. */
function advanced(text: string, at: number, count: number): number {
  let unit = at;
  for (let left = count; left > 0 && unit < text.length; left--) unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
  return unit;
}

function plain(text: string): string {
  return visible(text).replace(SIGNS, "\ufffd");
}
