/** Foreign text made inert: what data, models, programs and file names hold must not be obeyed where it is shown. */

import { oneLine } from "./text";

/** Everything that is obeyed or takes no room: controls, formats (direction, zero width, tags), lone surrogates, line separators, fillers. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u{115f}\u{1160}\u{3164}\u{ffa0}]|\u{34f}|\u{17b4}|\u{17b5}/gu;
const JOINERS = "\u200c\u200d";
const NEEDS_JOINERS = /^[\p{L}\p{M}\p{S}]$/u;
const MESSAGE_CHARACTERS = 1000;

/** `text` with all that is unsafe, except line ends and tabs, written as escapes, such as `\x1b`. */
export function visible(text: string): string {
  return text.replace(UNSAFE, (character, index: number) => {
    if (character === "\n" || character === "\t" || (character === "\r" && text[index + 1] === "\n")) return character;
    return JOINERS.includes(character) && joins(text, index) ? character : escaped(character);
  });
}

/** `text` on one line for a place that shows neither Markdown nor links nor icons, such as a decoration or a title. */
export function lineText(text: string, length?: number): string {
  return visible(oneLine(text, length));
}

/** `text` on one line for a message, an item of a list or a status: such places make links of `[…](…)` and icons of `$(…)`. */
export function messageText(text: string): string {
  return lineText(text.slice(0, 10 * MESSAGE_CHARACTERS), MESSAGE_CHARACTERS)
    .replace(/\](?=\()/g, "] ")
    .replace(/\$(?=\()/g, "$ ");
}

/** Markdown that shows `text` as it is, with its line ends: no part of it is a link, an image, a tag, an icon or any other mark. */
export function markdownText(text: string): string {
  const lines = text.trim().split(/\r?\n/);
  return lines.map((line) => escapeMarkdown(line.trim())).join("\\\n");
}

/** A piece of text for within a line of Markdown, where none of it has a meaning; white space is one space. */
export function escapeMarkdown(text: string): string {
  return visible(text.replace(/\s+/g, " ")).replace(/[!-/:-@[-`{-~]/g, "\\$&");
}

/** A fence of Markdown that `text` cannot close. */
export function fenced(text: string, language = "text"): string {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${visible(text)}\n${fence}`;
}

/** Code within a line of Markdown that `text` cannot close. */
export function inlineCode(text: string): string {
  const fence = "`".repeat(longestRun(text) + 1);
  return `${fence} ${visible(text).replace(/\s+/g, " ").trim() || " "} ${fence}`;
}

function longestRun(text: string): number {
  let longest = 0;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  return longest;
}

/** Whether a joiner stands between characters of a script, or of emoji, that needs it. */
function joins(text: string, index: number): boolean {
  const before = Array.from(text.slice(Math.max(0, index - 2), index)).at(-1) ?? "";
  const after = String.fromCodePoint(text.codePointAt(index + 1) ?? 0);
  return [before, after].every((each) => each > "\x7f" && NEEDS_JOINERS.test(each));
}

function escaped(character: string): string {
  if (character === "\r") return "\\r";
  const code = character.codePointAt(0) ?? 0;
  const digits = (length: number): string => code.toString(16).padStart(length, "0");
  if (code > 0xffff) return `\\U${digits(8)}`;
  return code > 0xff ? `\\u${digits(4)}` : `\\x${digits(2)}`;
}
