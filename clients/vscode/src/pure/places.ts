/** Where analystd is used already; the daemon finds the workspace by the same rule. */

import * as fs from "node:fs";
import * as path from "node:path";

const NAME = "workspace";

/** A folder and those around it, the nearest first. */
export function foldersUpward(folder: string): string[] {
  const parent = path.dirname(folder);
  return parent === folder ? [folder] : [folder, ...foldersUpward(parent)];
}

/** Whether a folder is a workspace by its name, or has one. */
export function isOfWorkspace(folder: string): boolean {
  return path.basename(folder) === NAME || fs.existsSync(path.join(folder, NAME));
}
