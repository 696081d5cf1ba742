/** Texts on files that were moved aside. Code in the jail chose their names, so characters that could make a link or a command are removed. */

import type { QuarantineEntry, RestoreResult } from "../protocol";
import { oneLine } from "./text";

const SHOWN_NAMES = 3;
const SHOWN_FILES = 15;
const NAME_LENGTH = 80;

/** Return a path in which no renderer finds a link or a command. */
export function inertPath(path: string): string {
  return oneLine(path.replace(/[^\p{L}\p{N} ._/@+~-]/gu, "?"), NAME_LENGTH);
}

/** Return the message to show when files are moved aside. */
export function movedAside(entry: QuarantineEntry): string {
  const names = entry.moved.slice(0, SHOWN_NAMES).map(({ path }) => inertPath(path));
  const more = entry.count - names.length;
  const what = names.join(", ") + (more > 0 ? ` and ${more} more` : "");
  return `analystd moved ${what} aside: it appeared while code ran, and programs outside the jail run or trust files of this name.`;
}

/** Return the question to ask before an entry is restored. */
export function restoreQuestion({ entry, files, problems }: RestoreResult): { title: string; detail: string } {
  const names = entry.moved.slice(0, SHOWN_NAMES).map(({ path }) => inertPath(path));
  const more = entry.count - names.length;
  const title =
    problems.length > 0
      ? "This cannot be restored"
      : `Restore ${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}?`;
  const lines = files.slice(0, SHOWN_FILES).map(({ path, size }) => `${inertPath(path)} (${size} bytes)`);
  if (files.length > SHOWN_FILES) lines.push(`and ${files.length - SHOWN_FILES} more files`);
  const detail =
    problems.length > 0 ? problems.map(inertPath) : ["Code that you may not have read created this:", ...lines];
  return { title, detail: detail.join("\n") };
}
