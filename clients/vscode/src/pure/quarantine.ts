/** The words about what was moved aside. Code in the jail chose the names, so only what cannot be a link or a command is left of them. */

import type { QuarantineEntry, RestoreResult } from "../protocol";
import { oneLine } from "./text";

const SHOWN_NAMES = 3;
const SHOWN_FILES = 15;
const NAME_LENGTH = 80;

/** A path that means nothing to whoever renders it. */
export function inertPath(path: string): string {
  return oneLine(path.replace(/[^\p{L}\p{N} ._/@+~-]/gu, "?"), NAME_LENGTH);
}

/** The message that tells of it, when it happens. */
export function movedAside(entry: QuarantineEntry): string {
  const names = entry.moved.slice(0, SHOWN_NAMES).map(({ path }) => inertPath(path));
  const more = entry.count - names.length;
  const what = names.join(", ") + (more > 0 ? ` and ${more} more` : "");
  return `analystd moved ${what} aside: it appeared while code ran, and tools outside of the jail run or believe what has such a name.`;
}

/** The question before it is put back. */
export function restoreQuestion({ entry, files, problems }: RestoreResult): { title: string; detail: string } {
  const names = entry.moved.slice(0, SHOWN_NAMES).map(({ path }) => inertPath(path));
  const more = entry.count - names.length;
  const title =
    problems.length > 0
      ? "It cannot be put back"
      : `Put ${names.join(", ")}${more > 0 ? ` and ${more} more` : ""} back?`;
  const lines = files.slice(0, SHOWN_FILES).map(({ path, size }) => `${inertPath(path)} (${size} bytes)`);
  if (files.length > SHOWN_FILES) lines.push(`and ${files.length - SHOWN_FILES} more files`);
  const detail = problems.length > 0 ? problems.map(inertPath) : ["Code that you may not have read made it:", ...lines];
  return { title, detail: detail.join("\n") };
}
