/** Asking the model: the question, the selection that goes with it, and the answer as it comes. */

import * as vscode from "vscode";
import type { Answers } from "./answers";
import type { Client } from "./client";
import { explain, isCancelled, NotRunningError } from "./errors";
import type { InlinePlace, InlineResults } from "./inline";
import { type AgentResult, Command, type Context } from "./protocol";
import { agentInline } from "./pure/results";
import { oneLine } from "./pure/text";
import { type Entry, fail, finishAgent, take } from "./pure/trail";
import { withProgress } from "./progress";
import { inputBox, showError } from "./surfaces";

export class Asker {
  private conversation: string | undefined;

  constructor(
    private readonly client: Client,
    private readonly answers: Answers,
    private readonly inline: InlineResults,
  ) {}

  /** Let the user type a question about the active editor's selection, if there is one, and answer it. */
  async askInBox(): Promise<void> {
    const editor = activeFileEditor();
    const context = editor && contextOf(editor);
    const prompt = await this.inputQuestion(context);
    if (prompt) await this.ask(prompt, context, editor);
  }

  /** Answer a question in the Answers view, and after the cursor's line of `editor` if it was asked from there. */
  async ask(prompt: string, context?: SelectedText, editor?: vscode.TextEditor): Promise<void> {
    const source = new vscode.CancellationTokenSource();
    const entry = this.answers.add("agent", prompt, context ? aboutContext(context) : "", () => source.cancel());
    const line = editor?.selection.end.line ?? 0;
    const place = editor && this.inline.place(editor.document, line, line, entry.id);
    place?.show({ tone: "quiet", text: "asking …", hover: "" });
    const question = { prompt, ...(context && { context }) };
    void this.answers.reveal(entry.id);
    if (!editor) {
      await this.follow(entry, place, question, source.token, () => undefined);
      return;
    }
    await withProgress(`analystd: ${oneLine(prompt, 60)}`, async (token, report) => {
      token.onCancellationRequested(() => source.cancel());
      await this.follow(entry, place, question, source.token, report);
    });
  }

  startConversation(): void {
    this.conversation = undefined;
    this.answers.conversationTopic = null;
  }

  private async follow(
    entry: Entry,
    place: InlinePlace | undefined,
    question: { prompt: string; context?: Context },
    token: vscode.CancellationToken,
    report: (message: string) => void,
  ): Promise<void> {
    const { conversation } = this;
    const follower = {
      isOwn: (queued: { run_kind?: string; prompt?: string }) =>
        queued.run_kind === "agent" && (queued.prompt?.startsWith(question.prompt) ?? false),
      take: (event: Parameters<typeof take>[1]) => {
        if (!take(entry, event)) return;
        this.answers.changed(entry);
        const words = doing(entry);
        report(words);
        place?.show({ tone: "quiet", text: words, hover: "" });
      },
    };
    try {
      const args = { ...question, ...(conversation !== undefined && { conversation }) };
      const result = await this.client.run<AgentResult>(Command.runAgent, args, follower, token);
      this.conversation = result.conversation;
      if (conversation === undefined) this.answers.conversationTopic = oneLine(question.prompt, 60);
      finishAgent(entry, result);
      place?.show(agentInline(result));
    } catch (error) {
      const cancelled = isCancelled(error);
      fail(entry, explain(error), cancelled);
      if (cancelled) place?.show({ tone: "quiet", text: "cancelled", hover: "" });
      else place?.show({ tone: "error", text: oneLine(explain(error)), hover: "" });
      if (!cancelled && !(error instanceof NotRunningError)) void showError(explain(error));
    } finally {
      this.answers.changed(entry);
    }
  }

  private inputQuestion(context: SelectedText | undefined): Promise<string | undefined> {
    const { box, title } = inputBox(
      context ? `With the selected text (${aboutContext(context)})` : "",
      "What is the mean daily return in prices.csv?",
    );
    const fresh: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon("add"), tooltip: "New conversation" };
    const describe = (): void => {
      const topic = this.answers.conversationTopic;
      title(topic === null ? "Ask analystd" : `Ask analystd, continuing “${topic}”`);
      box.buttons = topic === null ? [] : [fresh];
    };
    describe();
    box.ignoreFocusOut = true;
    return new Promise((resolve) => {
      box.onDidTriggerButton(() => {
        this.startConversation();
        describe();
      });
      box.onDidAccept(() => {
        resolve(box.value.trim());
        box.hide();
      });
      box.onDidHide(() => {
        resolve(undefined);
        box.dispose();
      });
      box.show();
    });
  }
}

/** The active editor if it shows a file, not an output channel or the like. */
export function activeFileEditor(): vscode.TextEditor | undefined {
  const editor = vscode.window.activeTextEditor;
  return editor && ["file", "untitled"].includes(editor.document.uri.scheme) ? editor : undefined;
}

/** The text that is selected in an editor, as the context of a question. */
type SelectedText = Context & { uri: string; range: { start: { line: number } }; text: string };

function contextOf({ document, selection }: vscode.TextEditor): SelectedText | undefined {
  if (selection.isEmpty) return undefined;
  const { start, end } = selection;
  const range = {
    start: { line: start.line, character: start.character },
    end: { line: end.line, character: end.character },
  };
  return { uri: document.uri.toString(), range, text: document.getText(selection) };
}

function aboutContext({ uri, range, text }: SelectedText): string {
  const name = vscode.workspace.asRelativePath(vscode.Uri.parse(uri));
  const lines = text.split("\n").length;
  return `${name}:${range.start.line + 1}, ${lines} line${lines === 1 ? "" : "s"}`;
}

/** What is going on, in one line. */
function doing(entry: Entry): string {
  if (entry.text) return oneLine(entry.text.slice(-200), 100);
  if (entry.steps.at(-1)?.state === "running") return `${entry.steps.at(-1)?.title ?? ""} …`;
  return entry.note || "thinking …";
}
