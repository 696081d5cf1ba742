/** The status bar item: whether analystd is running, its model, and its runs. */

import * as vscode from "vscode";
import type { Client, ConnectionState } from "./client";
import { Command, type DaemonStatus, type RunEvent, type SessionState } from "./protocol";
import { escapeMarkdown } from "./pure/inert";
import { fileName, oneLine } from "./pure/text";
import { markdown } from "./surfaces";

const ENDINGS = ["run_finished", "session_reset", "worker_died", "limit"];
const REFRESH_MS = 300;

const ICONS: Record<ConnectionState, string> = {
  running: "$(pulse)",
  starting: "$(loading~spin)",
  stopped: "$(circle-outline)",
  untrusted: "$(shield)",
  "not found": "$(warning)",
  failed: "$(error)",
};

const WORDS: Record<ConnectionState, string> = {
  running: "running",
  starting: "starting …",
  stopped: "not started yet; the first question or run starts it, or a click here",
  untrusted: "nothing is started in a folder that is not trusted",
  "not found": "the program was not found; click to try again",
  failed: "could not be started; click to try again",
};

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("analystd.status", vscode.StatusBarAlignment.Right, 90);
  private readonly running = new Map<string, string>();
  private readonly listening: vscode.Disposable;
  private timer: NodeJS.Timeout | undefined;
  private status: DaemonStatus | undefined;

  constructor(private readonly client: Client) {
    this.item.name = "analystd";
    this.item.command = "analystd.showStatus";
    this.listening = vscode.Disposable.from(
      client.onState(() => {
        this.running.clear();
        this.status = undefined;
        this.draw();
        this.refreshSoon();
      }),
      client.onEvent((event) => this.take(event)),
    );
    this.draw();
    this.item.show();
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.listening.dispose();
    this.item.dispose();
  }

  private take(event: RunEvent): void {
    if (event.kind === "run_queued" && event.run_id !== null) this.running.set(event.run_id, event.title ?? "");
    if (event.kind === "run_finished" && event.run_id !== null) this.running.delete(event.run_id);
    if (event.kind === "run_queued" || event.kind === "run_finished") this.draw();
    if (ENDINGS.includes(event.kind)) this.refreshSoon();
  }

  private refreshSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.refresh();
    }, REFRESH_MS);
  }

  private async refresh(): Promise<void> {
    if (this.client.state !== "running") return;
    // If the request fails, nothing is shown; the next event requests the status again.
    this.status = await this.client.request<DaemonStatus>(Command.status, {}).catch(() => undefined);
    this.draw();
  }

  private draw(): void {
    const { state } = this.client;
    const busy = this.running.size;
    void vscode.commands.executeCommand("setContext", "analystd.running", busy > 0);
    const problem = this.problem();
    const icon = busy > 0 ? "$(loading~spin)" : problem ? "$(warning)" : ICONS[state];
    this.item.text = busy > 1 ? `${icon} analystd: ${busy} runs` : `${icon} analystd`;
    this.item.tooltip = this.tooltip(problem);
    const isBad = ["not found", "failed"].includes(state) || problem !== null;
    this.item.backgroundColor = isBad ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  }

  /** Return what limits a running daemon, such as a missing sandbox, or null. */
  private problem(): string | null {
    const { handshake } = this.client;
    if (handshake?.sandbox.level === "none") return `No sandbox: ${handshake.sandbox.reason}`;
    return this.status?.engine?.note ?? this.status?.engine?.warning ?? null;
  }

  private tooltip(problem: string | null): vscode.MarkdownString {
    const { handshake, state } = this.client;
    if (handshake === undefined) return markdown(escapeMarkdown(`analystd: ${WORDS[state]}`));
    const engine = this.status?.engine ?? handshake.engine;
    const own = this.status?.clients.find(({ id }) => id === handshake.client_id);
    const workspace = handshake.workspace ?? own?.workspace ?? "";
    const session = this.status?.desks.find((desk) => desk.workspace === workspace)?.sessions[0];
    const rows: [string, string][] = [
      ["Workspace", workspace],
      ["Model", engine?.model ? `${fileName(engine.model)} (${engine.kind})` : "none"],
      ["Sandbox", oneLine([handshake.sandbox.level, handshake.sandbox.reason].filter(Boolean).join(": "), 160)],
      ["Session", session ? sessionWords(session) : "not started"],
      ["Daemon", this.status ? `${this.status.version}, pid ${this.status.pid}` : ""],
    ];
    const parts = ["**analystd**\n\n| | |\n|---|---|\n"];
    for (const [name, value] of rows.filter(([, value]) => value))
      parts.push(`| ${name} | ${escapeMarkdown(value)} |\n`);
    for (const title of this.running.values()) parts.push(`\n$(loading~spin) ${escapeMarkdown(oneLine(title, 80))}\n`);
    if (problem) parts.push(`\n$(warning) ${escapeMarkdown(problem)}\n`);
    return markdown(parts.join(""), { icons: true });
  }
}

function sessionWords(session: SessionState): string {
  const memory = session.memory_bytes === null ? "" : `, ${Math.round(session.memory_bytes / 1e6)} MB`;
  return `${session.name}, ${session.state}${memory}`;
}
