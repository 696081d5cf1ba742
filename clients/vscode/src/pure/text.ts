/** Shorten text. */

const CUT = "…";

/** Return `text` on one line of at most `length` characters, with a mark where it was cut. */
export function oneLine(text: string, length = 120): string {
  const flat = text.replace(/\s+/g, " ").trim();
  const characters = Array.from(flat);
  return characters.length <= length
    ? flat
    : characters
        .slice(0, length - 1)
        .join("")
        .trimEnd() + CUT;
}

/** Return the last `length` characters of `text` at most, from the start of a line if possible. */
export function tail(text: string, length: number): string {
  if (text.length <= length) return text;
  const end = text.slice(text.length - length);
  const lineStart = end.indexOf("\n") + 1;
  return `${CUT}\n${end.slice(lineStart < end.length ? lineStart : 0)}`;
}

/** Return the start and the end of `text`, at most `length` characters together, with a note of what is left out between. */
export function middleCut(text: string, length: number): string {
  if (text.length <= length) return text;
  const half = Math.floor(length / 2);
  const missing = text.length - 2 * half;
  return `${text.slice(0, half)}\n${CUT} ${missing.toLocaleString("en")} characters ${CUT}\n${text.slice(text.length - half)}`;
}

/** Return the lines of `text` that are not blank. */
export function filledLines(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== "");
}

/** The last part of a path; a name stays as it is. */
export function fileName(path: string): string {
  return path.split("/").at(-1) ?? path;
}

/** Return a duration as `3.2 s` or `2 min 5 s`; empty for less than half a second. */
export function duration(seconds: number): string {
  if (seconds < 0.5) return "";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** `1 row`, `12,000 rows`. */
export function counted(count: number, thing: string): string {
  return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}

/** Return text with a terminal's carriage returns and colour codes applied; a return at the very end is kept, for the text that follows. */
export function plainOutput(text: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/\r\n/g, "\n");
  const lines = plain.split("\n").map((line) => line.replace(/\r$/, "").split("\r").at(-1) ?? "");
  return lines.join("\n") + (plain.endsWith("\r") ? "\r" : "");
}
