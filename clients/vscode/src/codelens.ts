/** *Run cell* over `# %%` marks. */

import * as vscode from "vscode";
import { cellMarks } from "./pure/cells";
import { showsCodeLens } from "./settings";

export class CellLenses implements vscode.CodeLensProvider, vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.changes.event;
  private readonly listening = vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration("analystd.codeLens")) this.changes.fire();
  });

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    if (!showsCodeLens()) return [];
    return cellMarks(document.getText().split(/\r?\n/)).map((line) => {
      const run = { title: "$(play) Run cell", command: "analystd.runCell", arguments: [document.uri, line] };
      return new vscode.CodeLens(new vscode.Range(line, 0, line, 0), run);
    });
  }

  dispose(): void {
    this.listening.dispose();
    this.changes.dispose();
  }
}
