/** Running the selection or the cell around the cursor in the session, with the result after its last line. */

import * as vscode from "vscode";
import type { Answers } from "./answers";
import { activeFileEditor } from "./ask";
import type { Client } from "./client";
import { explain, isCancelled, NotRunningError } from "./errors";
import type { InlinePlace, InlineResults } from "./inline";
import { Command, type PythonResult, type RunEvent } from "./protocol";
import { blockAt, cellAt, type CodeBlock, dedent } from "./pure/cells";
import { fenced } from "./pure/inert";
import { pythonInline } from "./pure/results";
import { filledLines, oneLine, plainOutput, tail } from "./pure/text";
import { type Entry, fail, finishPython, take } from "./pure/trail";
import { withProgress } from "./progress";
import { showStatus } from "./surfaces";

export class Runner {
  constructor(
    private readonly client: Client,
    private readonly answers: Answers,
    private readonly inline: InlineResults,
  ) {}

  /** Run the active editor's selection, else the cell or the paragraph around the cursor. */
  async runActive(): Promise<void> {
    const editor = activeFileEditor();
    if (!editor) return;
    const block = selected(editor) ?? blockAt(linesOf(editor.document), editor.selection.active.line);
    if (block) await this.run(editor.document, block);
    else showStatus("analystd: there is no code at the cursor");
  }

  /** Run the cell under the `# %%` mark in `line`. */
  async runCell(uri: vscode.Uri, line: number): Promise<void> {
    const document = await vscode.workspace.openTextDocument(uri);
    const block = cellAt(linesOf(document), line);
    if (block) await this.run(document, block);
    else showStatus("analystd: the cell is empty");
  }

  private async run(document: vscode.TextDocument, block: CodeBlock): Promise<void> {
    const source = new vscode.CancellationTokenSource();
    const title = oneLine(filledLines(block.code)[0] ?? "", 80);
    const about = `${vscode.workspace.asRelativePath(document.uri)}:${block.first + 1}`;
    const entry = this.answers.add("python", title, about, () => source.cancel());
    const place = this.inline.place(document, block.first, block.last, entry.id);
    place.show({ tone: "quiet", text: "running …", hover: "" });
    await withProgress(`analystd runs ${about}`, async (token, report) => {
      token.onCancellationRequested(() => source.cancel());
      await this.follow(entry, place, document.uri.toString(), block, source.token, report);
    });
  }

  private async follow(
    entry: Entry,
    place: InlinePlace,
    uri: string,
    { code, first }: CodeBlock,
    token: vscode.CancellationToken,
    report: (message: string) => void,
  ): Promise<void> {
    const line = first + 1;
    const follower = {
      isOwn: (queued: RunEvent) => queued.run_kind === "python" && queued.code === code && queued.uri === uri,
      take: (event: RunEvent) => {
        if (!take(entry, event)) return;
        this.answers.changed(entry);
        const words = doing(entry);
        report(words);
        place.show({ tone: "quiet", text: words, hover: "" });
      },
    };
    try {
      const result = await this.client.run<PythonResult>(Command.execPython, { code, uri, line }, follower, token);
      finishPython(entry, result);
      place.show(pythonInline(result, line));
    } catch (error) {
      const cancelled = isCancelled(error);
      fail(entry, explain(error), cancelled);
      if (cancelled)
        place.show({ tone: "quiet", text: "interrupted", hover: entry.text && fenced(tail(entry.text, 8000)) });
      else if (error instanceof NotRunningError) place.clear();
      else place.show({ tone: "error", text: oneLine(explain(error)), hover: "" });
    } finally {
      this.answers.changed(entry);
    }
  }
}

function selected({ document, selection }: vscode.TextEditor): CodeBlock | null {
  const code = dedent(document.getText(selection));
  if (code.trim() === "") return null;
  // A selection of whole lines ends before the first character of the next one.
  const last = selection.end.character === 0 && !selection.isSingleLine ? selection.end.line - 1 : selection.end.line;
  return { first: selection.start.line, last, code };
}

function linesOf(document: vscode.TextDocument): string[] {
  return document.getText().split(/\r?\n/);
}

function doing(entry: Entry): string {
  const latest = filledLines(plainOutput(entry.text)).at(-1);
  return latest === undefined ? entry.note || "running …" : oneLine(latest, 100);
}
