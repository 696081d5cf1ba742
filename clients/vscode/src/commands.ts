/** The commands of the palette and the menus. Their ids differ from those of the server, which the language client registers. */

import * as vscode from "vscode";
import type { Answers } from "./answers";
import type { Asker } from "./ask";
import type { Client } from "./client";
import { explain, NotRunningError } from "./errors";
import type { InlineResults } from "./inline";
import { logger } from "./logger";
import { Command, type DaemonStatus, type RunSummary } from "./protocol";
import { fileName } from "./pure/text";
import type { QuarantineNotices } from "./quarantine";
import type { Runner } from "./run";
import { confirm, type Item, pick, showError, showInformation, showStatus as showWord } from "./surfaces";
import { COLUMNAR_TABLE, TEXT_TABLE } from "./table";

const DATA_FILES = "**/*.{csv,tsv,tab,psv,jsonl,ndjson,parquet,pq,arrow,feather,csv.gz,tsv.gz,jsonl.gz,ndjson.gz}";
/** Files that a text editor cannot show. */
const COLUMNAR = /\.(parquet|pq|arrow|feather|gz)$/i;
const MAX_FILES = 2000;

/** The parts of the extension that the commands use. */
export interface Parts {
  client: Client;
  answers: Answers;
  asker: Asker;
  runner: Runner;
  inline: InlineResults;
  quarantine: QuarantineNotices;
}

export function registerCommands({ client, answers, asker, runner, inline, quarantine }: Parts): vscode.Disposable {
  const commands: Record<string, (...args: never[]) => unknown> = {
    "analystd.ask": () => asker.askInBox(),
    "analystd.newConversation": () => asker.startConversation(),
    "analystd.run": () => runner.runActive(),
    "analystd.runCell": (uri: vscode.Uri, line: number) => runner.runCell(uri, line),
    "analystd.openTable": (uri?: vscode.Uri) => openTable(uri),
    "analystd.clearResults": () => inline.clear(),
    "analystd.forgetSession": () => forgetSession(client),
    "analystd.cancel": () => cancelRun(client),
    "analystd.showAnswers": () => answers.reveal(inline.entryAtCursor()),
    "analystd.clearAnswers": () => answers.clear(),
    "analystd.showLog": () => logger.show(),
    "analystd.showQuarantine": () => quarantine.show(),
    "analystd.showStatus": () => showStatus(client),
    "analystd.reconnect": () => client.restart(),
  };
  const registered = Object.entries(commands).map(([id, action]) =>
    vscode.commands.registerCommand(id, async (...args: never[]) => {
      try {
        await action(...args);
      } catch (error) {
        if (!(error instanceof NotRunningError)) void showError(`analystd: ${explain(error)}`);
      }
    }),
  );
  return vscode.Disposable.from(...registered);
}

async function openTable(uri?: vscode.Uri): Promise<void> {
  const file = uri ?? activeDataFile() ?? (await pickDataFile());
  if (file === undefined) return;
  await vscode.commands.executeCommand("vscode.openWith", file, COLUMNAR.test(file.path) ? COLUMNAR_TABLE : TEXT_TABLE);
}

function activeDataFile(): vscode.Uri | undefined {
  // Take the file from the tab, because there is no text editor for a file that is too large for one.
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const uri = input instanceof vscode.TabInputText ? input.uri : undefined;
  return uri?.scheme === "file" && /\.(csv|tsv|tab|psv|dat|txt|jsonl|ndjson)$/i.test(uri.path) ? uri : undefined;
}

async function pickDataFile(): Promise<vscode.Uri | undefined> {
  const files = await vscode.workspace.findFiles(DATA_FILES, undefined, MAX_FILES);
  const items = files
    .map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }))
    .sort((a, b) => a.label.localeCompare(b.label));
  const browse = { icon: "folder-opened", label: "Browse…", uri: undefined };
  const picked = await pick<Item & { uri: vscode.Uri | undefined }>([...items, browse], "View Data", "A data file");
  if (picked === undefined || picked.uri !== undefined) return picked?.uri;
  return (await vscode.window.showOpenDialog({ title: "View Data" }))?.[0];
}

async function forgetSession(client: Client): Promise<void> {
  const question = "Reset the Python session? All its variables are lost, in every window that uses it.";
  if (!(await confirm(question, "Reset"))) return;
  await client.request(Command.resetSession, {});
  showWord("analystd: the session is empty");
}

async function cancelRun(client: Client): Promise<void> {
  const { runs } = await client.request<{ runs: RunSummary[] }>(Command.listRuns, { limit: 200 });
  const active = runs.filter((run) => ["queued", "running"].includes(run.status));
  if (active.length === 0) {
    void showInformation("analystd: nothing is running.");
    return;
  }
  const items = active.map((run) => ({ label: run.title, description: `${run.kind}, ${run.status}`, run }));
  const picked = items.length === 1 ? items[0] : await pick(items, "Cancel Run");
  if (picked) await client.request(Command.cancelRun, { run_id: picked.run.run_id });
}

async function showStatus(client: Client): Promise<void> {
  if (client.state !== "running") await client.start();
  // The start has shown why the daemon does not run.
  if (client.state !== "running") return;
  const status = await client.request<DaemonStatus>(Command.status, {});
  const items: (Item & { command?: string; log?: string })[] = [
    { icon: "comment-discussion", label: "Ask…", command: "analystd.ask" },
    { icon: "table", label: "View Data…", command: "analystd.openTable" },
    { icon: "debug-stop", label: "Cancel Run", command: "analystd.cancel" },
    { icon: "debug-restart", label: "Reset Session", command: "analystd.forgetSession" },
    { icon: "plug", label: "Reconnect", command: "analystd.reconnect" },
    { icon: "output", label: "Show Log", description: "of this extension", command: "analystd.showLog" },
    ...(status.log
      ? [{ icon: "file", label: "Open Log", description: `of the daemon, ${status.log}`, log: status.log }]
      : []),
  ];
  const title = `analystd ${status.version}: ${fileName(status.engine?.model ?? "") || "no model"}, sandbox ${status.sandbox.level}`;
  const picked = await pick(items, title, client.handshake?.workspace);
  if (picked?.command) await vscode.commands.executeCommand(picked.command);
  if (picked?.log) await vscode.window.showTextDocument(vscode.Uri.file(picked.log));
}
