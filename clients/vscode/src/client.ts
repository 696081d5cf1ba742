/** The connection to the daemon: start and restart a language client over `analystd stdio`, and send it requests. */

import * as path from "node:path";
import * as vscode from "vscode";
import {
  type Executable,
  ExecuteCommandRequest,
  LanguageClient,
  type LanguageClientOptions,
  LogMessageNotification,
  MessageType,
  RevealOutputChannelOn,
  ShowMessageNotification,
  ShowMessageRequest,
  State,
  WorkDoneProgress,
} from "vscode-languageclient/node";
import { explain, NotRunningError } from "./errors";
import { logger } from "./logger";
import { EVENT_METHOD, type About, type RunEvent } from "./protocol";
import { findProgram } from "./pure/command";
import { messageText } from "./pure/inert";
import { foldersUpward, isOfWorkspace } from "./pure/places";
import { fileFolderPath, folderPath, type ServerSettings, serverSettings } from "./settings";
import { showError, showInformation, showWarning } from "./surfaces";

/** The state of the connection; `problem` is the message for the user when it is not `running`. */
export type ConnectionState = "stopped" | "starting" | "running" | "untrusted" | "not found" | "failed";

/** Recognises the caller's own run, and handles its events. */
export interface Follower {
  isOwn: (queued: RunEvent) => boolean;
  take: (event: RunEvent) => void;
}

/** One per window. */
export class Client implements vscode.Disposable {
  private readonly events = new vscode.EventEmitter<RunEvent>();
  private readonly states = new vscode.EventEmitter<ConnectionState>();
  private client: LanguageClient | undefined;
  private starting: Promise<void> | undefined;
  private current: ConnectionState = "stopped";
  private readonly followed = new Set<string>();
  private tokens = 0;

  /** All events of the desk, of any client. */
  readonly onEvent = this.events.event;
  readonly onState = this.states.event;

  /** Return whether this window asked for a run, and so shows how it ends. */
  follows(runId: string | null): boolean {
    return runId !== null && this.followed.has(runId);
  }

  get state(): ConnectionState {
    return this.current;
  }

  /** The server's answer to `initialize`; undefined while there is no server. */
  get handshake(): About | undefined {
    const experimental = this.client?.initializeResult?.capabilities.experimental as { analystd?: About } | undefined;
    return this.current === "running" ? experimental?.analystd : undefined;
  }

  /** Start the server if that is allowed. Never throws: `state` has the result. `quiet` is for a start that the user did not request. */
  async start(quiet = false): Promise<void> {
    this.starting ??= this.launch(quiet).finally(() => (this.starting = undefined));
    await this.starting;
  }

  async stop(): Promise<void> {
    await this.starting;
    const client = this.client;
    this.client = undefined;
    await client?.dispose().catch((error: unknown) => logger.warn(`stopping: ${explain(error)}`));
    this.become("stopped");
  }

  async restart(quiet = false): Promise<void> {
    await this.stop();
    await this.start(quiet);
  }

  /** Start now if this folder has a workspace. Otherwise the first request starts the server, which creates the workspace. */
  async startIfUsed(): Promise<void> {
    const folder = folderPath();
    const isUsed = folder !== undefined && foldersUpward(folder).some(isOfWorkspace);
    if (isUsed || serverSettings().workspace !== undefined) await this.start(true);
  }

  /**
   * Run a command of the server. A cancelled `token` also cancels it there, which VS Code's own `executeCommand` would not do.
   *
   * @throws NotRunningError when there is no server, which the user was told; else what the server answers.
   */
  async request<Result>(command: string, args: object, token?: vscode.CancellationToken): Promise<Result> {
    return (await (
      await this.connected()
    ).sendRequest(ExecuteCommandRequest.type, { command, arguments: [args] }, token)) as Result;
  }

  /** Do the same as `request`, and call `onProgress` with the percentage done of long work. */
  async requestLong<Result>(
    command: string,
    args: object,
    onProgress: (percentage: number) => void,
    token?: vscode.CancellationToken,
  ): Promise<Result> {
    const client = await this.connected();
    const workDoneToken = `analystd-${++this.tokens}`;
    const listening = client.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
      if (value.kind !== "end" && value.percentage !== undefined) onProgress(value.percentage);
    });
    try {
      const params = { command, arguments: [args], workDoneToken };
      return (await client.sendRequest(ExecuteCommandRequest.type, params, token)) as Result;
    } finally {
      listening.dispose();
    }
  }

  /** Run a command that is a run on the server, and pass its events to `follower`. */
  async run<Result extends { run_id: string }>(
    command: string,
    args: object,
    follower: Follower,
    token?: vscode.CancellationToken,
  ): Promise<Result> {
    const own: { id: string | null } = { id: null };
    const listening = this.onEvent((event) => {
      if (own.id === null && event.kind === "run_queued" && this.isUnclaimed(event) && follower.isOwn(event)) {
        own.id = event.run_id;
        if (own.id !== null) this.followed.add(own.id);
      }
      if (own.id !== null && event.run_id === own.id) follower.take(event);
    });
    try {
      return await this.request<Result>(command, args, token);
    } finally {
      listening.dispose();
      if (own.id !== null) this.followed.delete(own.id);
    }
  }

  dispose(): void {
    void this.stop().finally(() => {
      this.events.dispose();
      this.states.dispose();
    });
  }

  private async connected(): Promise<LanguageClient> {
    if (this.current !== "running") await this.start();
    if (this.client === undefined || !this.isRunning()) throw new NotRunningError("analystd is not running");
    return this.client;
  }

  private isRunning(): boolean {
    return this.current === "running";
  }

  private isUnclaimed(event: RunEvent): boolean {
    const self = this.handshake?.client_id;
    const isOurs = self === undefined || event.client_id === null || event.client_id === self;
    return event.run_id !== null && !this.followed.has(event.run_id) && isOurs;
  }

  private async launch(quiet: boolean): Promise<void> {
    if (this.isRunning()) return;
    if (!vscode.workspace.isTrusted) {
      this.become("untrusted");
      if (!quiet) await askForTrust();
      return;
    }
    const settings = serverSettings();
    const folder = folderPath();
    const program = findProgram(settings.command, folder, process.env.PATH ?? "");
    if (program === null) {
      this.become("not found");
      logger.error(`no program ${settings.command}; PATH is ${process.env.PATH ?? "empty"}`);
      offerInstallation(settings.command, () => void this.restart());
      return;
    }
    await this.connect(program, settings, folder);
  }

  private async connect(program: string, settings: ServerSettings, folder: string | undefined): Promise<void> {
    await this.client?.dispose().catch(() => undefined);
    this.become("starting");
    logger.info(`starting ${program} ${settings.arguments.join(" ")}`);
    const start = folder === undefined ? fileFolderPath() : undefined;
    const run = executable(program, settings, folder);
    const client = new LanguageClient("analystd", "analystd", run, options(settings, start));
    this.client = client;
    client.onNotification(EVENT_METHOD, (event: RunEvent) => this.events.fire(event));
    showMessagesInert(client);
    client.onDidChangeState(({ newState }) => {
      if (this.client === client && newState !== State.StartFailed) this.become(stateOf(newState));
    });
    try {
      await client.start();
      logger.info(`connected: ${JSON.stringify(this.handshake)}`);
    } catch (error) {
      this.become("failed");
      logger.error(`start failed: ${explain(error)}`);
      offerLog(`analystd could not be started: ${explain(error)}`);
    }
  }

  private become(state: ConnectionState): void {
    if (state === this.current) return;
    this.current = state;
    this.states.fire(state);
  }
}

/** Replace the language client's own handlers, which show the server's texts without making them inert. */
function showMessagesInert(client: LanguageClient): void {
  const show = (type: MessageType): typeof showError =>
    type === MessageType.Error ? showError : type === MessageType.Warning ? showWarning : showInformation;
  client.onNotification(ShowMessageNotification.type, ({ type, message }) => void show(type)(message));
  client.onNotification(LogMessageNotification.type, ({ message }) => logger.info(message));
  client.onRequest(ShowMessageRequest.type, async ({ type, message, actions = [] }) => {
    const choice = await show(type)(message, ...actions.map((action) => messageText(action.title)));
    return actions.find((action) => messageText(action.title) === choice) ?? null;
  });
}

function executable(program: string, settings: ServerSettings, folder: string | undefined): Executable {
  return { command: program, args: settings.arguments, options: folder === undefined ? {} : { cwd: folder } };
}

/** Return the options of the language client; `start` is where a window without folders looks for the workspace. */
function options(settings: ServerSettings, start: string | undefined): LanguageClientOptions {
  return {
    ...(start !== undefined && {
      workspaceFolder: { uri: vscode.Uri.file(start), name: path.basename(start), index: 0 },
    }),
    documentSelector: [{ scheme: "file", language: "python" }],
    initializationOptions: {
      ...(settings.workspace && { workspace: settings.workspace }),
      settings: settings.settings,
    },
    outputChannel: logger,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    // The caller of `start` informs the user; the language client must neither ask nor retry.
    initializationFailedHandler: () => false,
  };
}

function stateOf(state: State): ConnectionState {
  return state === State.Running ? "running" : state === State.Starting ? "starting" : "stopped";
}

async function askForTrust(): Promise<void> {
  const choice = await showWarning("analystd does not start in a folder that you have not trusted.", "Manage Trust");
  if (choice !== undefined) await vscode.commands.executeCommand("workbench.trust.manage");
}

function offerInstallation(command: string, retry: () => void): void {
  const message =
    `analystd was not found: there is no program “${command}”. ` +
    "Install it (pip install, or make setup in its repository), and if it is not on the PATH, give its path in the setting analystd.command.";
  void showError(message, "Open Settings", "Try Again").then((choice) => {
    if (choice === "Open Settings") {
      void vscode.commands.executeCommand("workbench.action.openSettings", "analystd.command");
    } else if (choice === "Try Again") {
      retry();
    }
  });
}

function offerLog(message: string): void {
  void showError(message, "Show Log").then((choice) => {
    if (choice !== undefined) logger.show();
  });
}
