/** Data files as tables: a read-only editor that requests only the rows it shows and never loads the file. */

import * as vscode from "vscode";
import type { Client } from "./client";
import { explain } from "./errors";
import type { FromTable, TableWork, ToTable } from "./messages";
import { Command, type ViewResult } from "./protocol";
import { type TableQuestion, viewArguments } from "./pure/question";
import { cellText, lastOffset, type Page } from "./pure/table";
import { pageSize } from "./settings";
import { page, webviewOptions } from "./webview";

export const TEXT_TABLE = "analystd.table";
export const COLUMNAR_TABLE = "analystd.columnarTable";

/** Files whose delimiter the user can choose. */
const DELIMITED = /\.(csv|tsv|tab|psv|dat|txt)(\.gz)?$/i;

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
  private readonly works = new Map<TableWork, vscode.CancellationTokenSource>();
  private question: TableQuestion = { filter: [], sort: [], delimiter: null };
  private offset = 0;
  private numRows: number | undefined;
  private counting: Promise<number | undefined> | undefined;
  private readonly watcher: vscode.FileSystemWatcher;

  constructor(
    private readonly client: Client,
    private readonly uri: vscode.Uri,
    private readonly post: (message: ToTable) => void,
  ) {
    const pattern = new vscode.RelativePattern(vscode.Uri.joinPath(uri, ".."), uri.path.split("/").at(-1) ?? "");
    this.watcher = vscode.workspace.createFileSystemWatcher(pattern);
    this.watcher.onDidChange(() => void this.reload());
    this.watcher.onDidCreate(() => void this.reload());
  }

  async receive(message: FromTable): Promise<void> {
    if (message.type === "cancel") message.works.forEach((work) => this.works.get(work)?.cancel());
    else if (message.type === "profile") await this.profile(message.column);
    else await this.ask(message.question, message.offset, message.isFirst);
  }

  dispose(): void {
    for (const work of this.works.values()) work.cancel();
    this.watcher.dispose();
  }

  private async ask(question: TableQuestion, offset: number | "end", isFirst: boolean): Promise<void> {
    if (isFirst) this.post({ type: "about", isDelimited: DELIMITED.test(this.uri.path) });
    if (isFirst || countedRows(question) !== countedRows(this.question)) this.forgetCount();
    this.question = question;
    if (offset !== "end") await this.show(offset);
    else await this.showEnd();
  }

  /** Show the file's rows as they are now. */
  private async reload(): Promise<void> {
    this.forgetCount();
    await this.show(this.offset);
  }

  /** Show the rows from `offset`, then tell how many there are. */
  private async show(offset: number): Promise<void> {
    if (await this.load(offset)) await this.count();
  }

  private async showEnd(): Promise<void> {
    const numRows = await this.count();
    if (numRows === undefined) return;
    const offset = lastOffset(numRows, pageSize());
    // The end of a long order can only be reached from behind.
    if (this.question.sort.length > 0) await this.load(offset, "tail", { n_rows: Math.max(1, numRows - offset) });
    else await this.show(offset);
  }

  private async load(
    offset: number,
    operation = offset === 0 ? "head" : "rows",
    args: object = { n_rows: pageSize(), ...(offset && { offset }) },
  ): Promise<boolean> {
    const view = await this.view("page", operation, args);
    if (view === undefined) return false;
    this.offset = offset;
    this.post({ type: "page", page: toPage(view, offset), pageSize: pageSize() });
    if (view.num_rows !== null) this.tellCount(view.num_rows);
    return true;
  }

  /** Return how many rows match the filter, counted once for all pages; undefined when counting failed. */
  private async count(): Promise<number | undefined> {
    if (this.numRows !== undefined) return this.numRows;
    const counting = (this.counting ??= this.view("count", "shape", {}).then((view) => view?.num_rows ?? undefined));
    const numRows = await counting;
    if (this.counting === counting) {
      this.counting = undefined;
      if (numRows !== undefined) this.tellCount(numRows);
    }
    return numRows;
  }

  private forgetCount(): void {
    this.works.get("count")?.cancel();
    this.counting = undefined;
    this.numRows = undefined;
  }

  private tellCount(numRows: number): void {
    this.numRows = numRows;
    this.post({ type: "count", numRows });
  }

  private async profile(column: string): Promise<void> {
    const view = await this.view("profile", "profile", { columns: [column] });
    const profile = view?.profiles?.[0];
    if (profile !== undefined) this.post({ type: "profile", profile });
    else if (view !== undefined) {
      this.post({ type: "problem", work: "profile", message: "This analystd makes no profiles; a newer one does." });
    }
  }

  /** Request a view, in place of an earlier request for the same work; undefined when it was cancelled or failed, which is then shown. */
  private async view(work: TableWork, operation: string, args: object): Promise<ViewResult | undefined> {
    this.works.get(work)?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.works.set(work, source);
    try {
      const view = await this.client.requestLong<ViewResult>(
        Command.viewData,
        { uri: this.uri.toString(), operation, ...args, ...viewArguments(this.question) },
        (percentage) => this.post({ type: "progress", work, percentage }),
        source.token,
      );
      return source.token.isCancellationRequested ? undefined : view;
    } catch (error) {
      if (!source.token.isCancellationRequested) this.post({ type: "problem", work, message: explain(error) });
      return undefined;
    } finally {
      if (this.works.get(work) === source) this.works.delete(work);
      source.dispose();
    }
  }
}

/** Return what the number of rows depends on, as text that can be compared. */
function countedRows({ filter, delimiter }: TableQuestion): string {
  return JSON.stringify([filter, delimiter]);
}

function toPage(view: ViewResult, offset: number): Page {
  const columns = view.columns ?? [];
  const rows = (view.rows ?? []).map((row) => row.map((cell, index) => cellText(cell, columns[index]?.type)));
  return { offset: view.offset ?? offset, columns, rows, warnings: view.warnings };
}
