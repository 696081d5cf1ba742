/** Where a line went when its document was edited. */

/** An edit as the editor reports it; lines count from 0. */
export interface Edit {
  start: { line: number; character: number };
  end: { line: number; character: number };
  text: string;
}

/** The new number of `line` after edits of one change, or null when the line went with a deletion. */
export function movedLine(line: number, edits: readonly Edit[]): number | null {
  // Edits of one change refer to the text before it and do not overlap; from the bottom up they do not disturb each other.
  const fromBelow = [...edits].sort((a, b) => b.start.line - a.start.line || b.start.character - a.start.character);
  let moved = line;
  for (const { start, end, text } of fromBelow) {
    const added = text.split("\n").length - 1;
    if (end.line < line || (end.line === line && end.character === 0 && (start.line < line || text.endsWith("\n")))) {
      moved += added - (end.line - start.line);
    } else if (start.line < line) {
      return null;
    }
  }
  return moved;
}
