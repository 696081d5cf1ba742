/** The log channel of this extension. */

import * as vscode from "vscode";

export const logger: vscode.LogOutputChannel = vscode.window.createOutputChannel("analystd", { log: true });
