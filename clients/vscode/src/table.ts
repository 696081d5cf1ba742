/** Data files as tables: a read-only editor that asks for the rows it shows and never holds the file. */

import * as vscode from "vscode";
import type { Client } from "./client";
import { explain, isCancelled } from "./errors";
import type { FromTable, ToTable } from "./messages";
import { Command, type ViewResult } from "./protocol";
import { cellText, lastOffset, type Page } from "./pure/table";
import { pageSize } from "./settings";
import { page, webviewOptions } from "./webview";

export const TEXT_TABLE = "analystd.table";
export const COLUMNAR_TABLE = "analystd.columnarTable";

export class TableEditors implements vscode.CustomReadonlyEditorProvider {
  constructor(
    private readonly client: Client,
    private readonly extension: vscode.Uri,
  ) {}

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => undefined };
  }

  resolveCustomEditor(document: vscode.CustomDocument, panel: vscode.WebviewPanel): void {
    const table = new Table(this.client, document.uri, (message) => void panel.webview.postMessage(message));
    panel.webview.options = webviewOptions(this.extension);
    panel.webview.onDidReceiveMessage((message: FromTable) => void table.receive(message));
    panel.onDidDispose(() => table.dispose());
    panel.webview.html = page(panel.webview, this.extension, "table", document.uri.path);
  }
}

/** One open table. */
class Table implements vscode.Disposable {
  private loading: vscode.CancellationTokenSource | undefined;
  private offset = 0;
  private numRows: number | undefined;
  private readonly watcher: vscode.FileSystemWatcher;

  constructor(
    private readonly client: Client,
    private readonly uri: vscode.Uri,
    private readonly post: (message: ToTable) => void,
  ) {
    const pattern = new vscode.RelativePattern(vscode.Uri.joinPath(uri, ".."), uri.path.split("/").at(-1) ?? "");
    this.watcher = vscode.workspace.createFileSystemWatcher(pattern);
    this.watcher.onDidChange(() => void this.reload(this.offset));
    this.watcher.onDidCreate(() => void this.reload(this.offset));
  }

  async receive(message: FromTable): Promise<void> {
    if (message.type === "ready") await this.reload(message.offset);
    else if (message.type === "load") await this.load(message.offset);
    else await this.load(lastOffset((this.numRows ??= await this.count()), pageSize()));
  }

  dispose(): void {
    this.loading?.cancel();
    this.watcher.dispose();
  }

  /** Show the file's rows from `offset` as they are now, and how many there are. */
  private async reload(offset: number): Promise<void> {
    if (!(await this.load(offset))) return;
    this.numRows = undefined;
    try {
      this.numRows = await this.count();
      this.post({ type: "count", numRows: this.numRows });
    } catch (error) {
      if (!isCancelled(error)) this.post({ type: "problem", message: explain(error) });
    }
  }

  private async load(offset: number): Promise<boolean> {
    this.loading?.cancel();
    const { token } = (this.loading = new vscode.CancellationTokenSource());
    try {
      const view = await this.view(
        offset === 0 ? "head" : "rows",
        { n_rows: pageSize(), ...(offset && { offset }) },
        token,
      );
      this.offset = offset;
      this.post({ type: "page", page: toPage(view, offset), pageSize: pageSize() });
      return true;
    } catch (error) {
      if (!token.isCancellationRequested) this.post({ type: "problem", message: explain(error) });
      return false;
    }
  }

  private async count(): Promise<number> {
    return (await this.view("shape", {})).num_rows ?? 0;
  }

  private view(operation: string, args: object, token?: vscode.CancellationToken): Promise<ViewResult> {
    return this.client.request(Command.viewData, { uri: this.uri.toString(), operation, ...args }, token);
  }
}

function toPage(view: ViewResult, offset: number): Page {
  const columns = view.columns ?? [];
  const rows = (view.rows ?? []).map((row) => row.map((cell, index) => cellText(cell, columns[index]?.type)));
  return { offset: view.offset ?? offset, columns, rows, warnings: view.warnings };
}
