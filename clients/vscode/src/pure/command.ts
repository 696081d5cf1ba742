/** Find the program to start. */

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** Return `text` with `~` and `${workspaceFolder}` replaced. */
export function expand(text: string, folder: string | undefined): string {
  const home = text === "~" || text.startsWith("~/") ? os.homedir() + text.slice(1) : text;
  return folder === undefined ? home : home.replaceAll("${workspaceFolder}", folder);
}

/** Return the path of the program that `command` names: a path (relative to `folder`) or a name on `searchPath`; null if not found. */
export function findProgram(command: string, folder: string | undefined, searchPath: string): string | null {
  if (command.includes("/")) {
    const program = path.resolve(folder ?? ".", command);
    return isProgram(program) ? program : null;
  }
  const places = searchPath.split(path.delimiter).filter(Boolean);
  return places.map((place) => path.join(place, command)).find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}
