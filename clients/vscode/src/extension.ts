/** The extension's entry: makes the parts and connects them. */

import * as vscode from "vscode";
import { Answers } from "./answers";
import { Asker } from "./ask";
import { Client } from "./client";
import { CellLenses } from "./codelens";
import { registerCommands } from "./commands";
import { InlineResults } from "./inline";
import { logger } from "./logger";
import { QuarantineNotices } from "./quarantine";
import { Runner } from "./run";
import { affectsServer } from "./settings";
import { StatusItem } from "./status";
import { showWarning } from "./surfaces";
import { COLUMNAR_TABLE, TableEditors, TEXT_TABLE } from "./table";

/** Views keep what they show, and where one was in it, while another tab is in front. */
const KEPT = { retainContextWhenHidden: true };

let client: Client | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const connection = (client = new Client());
  const answers = new Answers(context.extensionUri);
  const inline = new InlineResults();
  const asker = new Asker(connection, answers, inline);
  const runner = new Runner(connection, answers, inline);
  const tables = new TableEditors(connection, context.extensionUri);
  const quarantine = new QuarantineNotices(connection);
  const lenses = new CellLenses();
  context.subscriptions.push(
    logger,
    answers,
    inline,
    lenses,
    new StatusItem(connection),
    registerCommands({ client: connection, answers, asker, runner, inline, quarantine }),
    vscode.languages.registerCodeLensProvider({ language: "python" }, lenses),
    vscode.window.registerWebviewViewProvider("analystd.answers", answers, {
      webviewOptions: KEPT,
    }),
    vscode.window.registerCustomEditorProvider(TEXT_TABLE, tables, { webviewOptions: KEPT }),
    vscode.window.registerCustomEditorProvider(COLUMNAR_TABLE, tables, { webviewOptions: KEPT }),
    answers.onQuestion((prompt) => void asker.ask(prompt)),
    connection.onEvent((event) => void quarantine.take(event)),
    connection.onEvent((event) => {
      const isNews = event.kind === "worker_died" || (event.kind === "limit" && !connection.follows(event.run_id));
      if (isNews && event.text) void showWarning(`analystd: ${event.text}`);
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (affectsServer(event) && connection.state !== "stopped") void connection.restart(true);
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void connection.startIfUsed()),
  );
  void connection.startIfUsed();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}
