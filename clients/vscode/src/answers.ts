/** The Answers view: questions, what was done for them, and answers, oldest first. */

import * as vscode from "vscode";
import type { FromAnswers, ToAnswers } from "./messages";
import { type Entry, newEntry } from "./pure/trail";
import { page, webviewOptions } from "./webview";

const MAX_ENTRIES = 100;
/** How often a growing answer is redrawn. */
const REDRAW_MS = 60;

export class Answers implements vscode.WebviewViewProvider, vscode.Disposable {
  private readonly entries = new Map<number, Entry>();
  private readonly cancellers = new Map<number, () => void>();
  private readonly questions = new vscode.EventEmitter<string>();
  private readonly dirty = new Set<Entry>();
  private timer: NodeJS.Timeout | undefined;
  private view: vscode.WebviewView | undefined;
  private shown: number | undefined;
  private nextId = 1;
  private topic: string | null = null;

  /** A question typed into the view. */
  readonly onQuestion = this.questions.event;

  constructor(private readonly extension: vscode.Uri) {}

  /** The first question of the conversation that the next one continues, or null. */
  get conversationTopic(): string | null {
    return this.topic;
  }

  set conversationTopic(topic: string | null) {
    this.topic = topic;
    this.post({ type: "conversation", conversation: topic });
  }

  add(kind: Entry["kind"], title: string, about: string, cancel: () => void): Entry {
    const entry = newEntry(this.nextId++, kind, title, about);
    this.entries.set(entry.id, entry);
    this.cancellers.set(entry.id, cancel);
    for (const id of [...this.entries.keys()].slice(0, -MAX_ENTRIES)) this.entries.delete(id);
    this.changed(entry);
    return entry;
  }

  /** Redraw an entry soon. */
  changed(entry: Entry): void {
    if (entry.state !== "waiting" && entry.state !== "running") this.cancellers.delete(entry.id);
    this.dirty.add(entry);
    this.timer ??= setTimeout(() => this.flush(), REDRAW_MS);
  }

  /** Forget all entries, except those of runs under way. */
  clear(): void {
    for (const id of this.entries.keys()) if (!this.cancellers.has(id)) this.entries.delete(id);
    this.postAll();
  }

  /** Bring the view to the front, without taking the cursor from the editor, and an entry into sight. */
  async reveal(id?: number): Promise<void> {
    this.shown = id;
    if (this.view) this.view.show(true);
    else await vscode.commands.executeCommand("analystd.answers.focus", { preserveFocus: true });
    if (id !== undefined) this.post({ type: "reveal", id });
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    view.webview.options = webviewOptions(this.extension);
    view.webview.onDidReceiveMessage((message: FromAnswers) => this.receive(message));
    view.onDidDispose(() => (this.view = undefined));
    view.webview.html = page(view.webview, this.extension, "answers", "Answers");
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.questions.dispose();
  }

  private receive(message: FromAnswers): void {
    switch (message.type) {
      case "ready":
        this.postAll();
        if (this.shown !== undefined) this.post({ type: "reveal", id: this.shown });
        break;
      case "ask":
        this.questions.fire(message.prompt);
        break;
      case "cancel":
        this.cancellers.get(message.id)?.();
        break;
      case "newConversation":
        void vscode.commands.executeCommand("analystd.newConversation");
        break;
    }
  }

  private flush(): void {
    this.timer = undefined;
    for (const entry of this.dirty) this.post({ type: "entry", entry });
    this.dirty.clear();
  }

  private postAll(): void {
    this.post({ type: "all", entries: [...this.entries.values()], conversation: this.topic });
  }

  private post(message: ToAnswers): void {
    void this.view?.webview.postMessage(message);
  }
}
