/** The extension's settings, read at each use. */

import * as path from "node:path";
import * as vscode from "vscode";
import { expand } from "./pure/command";

/** The settings with which the language server is started; a change of any requires a restart. */
export interface ServerSettings {
  command: string;
  arguments: string[];
  workspace: string | undefined;
  settings: Record<string, string>;
}

const SECTION = "analystd";
const OF_SERVER = ["command", "arguments", "workspace", "settings"].map((name) => `${SECTION}.${name}`);

export function serverSettings(): ServerSettings {
  const folder = folderPath();
  const configuration = vscode.workspace.getConfiguration(SECTION, vscode.workspace.workspaceFolders?.[0]);
  const workspace = configuration.get("workspace", "").trim();
  const settings = configuration.get<Record<string, unknown>>("settings", {});
  return {
    command: expand(configuration.get("command", "analystd").trim() || "analystd", folder),
    arguments: configuration.get<string[]>("arguments", ["stdio"]).map((each) => expand(each, folder)),
    workspace: workspace ? expand(workspace, folder) : undefined,
    settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
  };
}

/** Return whether a change of settings requires a restart of the server. */
export function affectsServer(event: vscode.ConfigurationChangeEvent): boolean {
  return OF_SERVER.some((name) => event.affectsConfiguration(name));
}

/** The path of the first opened folder. */
export function folderPath(): string | undefined {
  return vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
}

/** Return the folder of the active file, for a window without folders. */
export function fileFolderPath(): string | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const shown = input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom ? input.uri : undefined;
  const uri = shown ?? vscode.window.activeTextEditor?.document.uri;
  return uri?.scheme === "file" ? path.dirname(uri.fsPath) : undefined;
}

export function showsInlineResults(): boolean {
  return vscode.workspace.getConfiguration(SECTION).get("inlineResults", true);
}

export function showsCodeLens(): boolean {
  return vscode.workspace.getConfiguration(SECTION).get("codeLens", true);
}

export function pageSize(): number {
  return Math.min(Math.max(vscode.workspace.getConfiguration(SECTION).get("pageSize", 200), 10), 10_000);
}
