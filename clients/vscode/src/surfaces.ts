/**
 * The places of the editor that show text. All of them make links, images or icons of what they are given, so nothing else in this
 * extension uses them (a rule of eslint), and everything that is shown here becomes inert.
 */

import * as vscode from "vscode";
import { lineText, messageText } from "./pure/inert";

const STATUS_MS = 4000;

/** An item of a list; `icon` is one of ours, by its name. */
export interface Item {
  icon?: string;
  label: string;
  description?: string;
  /** A second line. */
  detail?: string;
}

/** Show an error with buttons, and return the chosen one. */
export function showError(text: string, ...buttons: string[]): Thenable<string | undefined> {
  return vscode.window.showErrorMessage(messageText(text), ...buttons);
}

/** Show a warning with buttons, and return the chosen one. */
export function showWarning(text: string, ...buttons: string[]): Thenable<string | undefined> {
  return vscode.window.showWarningMessage(messageText(text), ...buttons);
}

/** Show a message with buttons, and return the chosen one. */
export function showInformation(text: string, ...buttons: string[]): Thenable<string | undefined> {
  return vscode.window.showInformationMessage(messageText(text), ...buttons);
}

/** Ask the user to confirm an action, with details, and return the answer. Without a button, the message can only be read. */
export async function confirm(question: string, button: string | undefined, detail = ""): Promise<boolean> {
  const options = { modal: true, detail: detail.split("\n").map(messageText).join("\n") };
  const buttons = button === undefined ? [] : [button];
  const answer = await vscode.window.showWarningMessage(messageText(question), options, ...buttons);
  return answer !== undefined && answer === button;
}

/** Show a word in the status bar for a moment. */
export function showStatus(text: string): void {
  void vscode.window.setStatusBarMessage(messageText(text), STATUS_MS);
}

/** Let the user pick one of several items. */
export async function pick<Of extends Item>(
  items: readonly Of[],
  title: string,
  placeHolder = "",
): Promise<Of | undefined> {
  const shown = items.map((item) => ({
    label: `${item.icon ? `$(${item.icon}) ` : ""}${messageText(item.label)}`,
    description: messageText(item.description ?? ""),
    ...(item.detail !== undefined && { detail: messageText(item.detail) }),
    item,
  }));
  const options = { title: lineText(title), placeHolder: lineText(placeHolder) };
  return (await vscode.window.showQuickPick(shown, options))?.item;
}

/** Show a notification with the reported progress and a Cancel button until `work` is done. */
export function notifyProgress(
  title: string,
  work: (report: (message: string) => void, token: vscode.CancellationToken) => Promise<void>,
): void {
  const options = { location: vscode.ProgressLocation.Notification, title: messageText(title), cancellable: true };
  void vscode.window.withProgress(options, (progress, token) =>
    work((message) => progress.report({ message: messageText(message) }), token),
  );
}

/** An input box, titled with and prompting by inert text. */
export function inputBox(prompt: string, placeHolder: string): { box: vscode.InputBox; title: (text: string) => void } {
  const box = vscode.window.createInputBox();
  box.prompt = messageText(prompt);
  box.placeholder = lineText(placeHolder);
  return { box, title: (text) => (box.title = lineText(text)) };
}

/** Markdown for a hover or a tooltip: made by `pure/inert.ts` of what is foreign in it, and trusted with nothing. */
export function markdown(text: string, options: { icons: boolean } = { icons: false }): vscode.MarkdownString {
  const made = new vscode.MarkdownString(text, options.icons);
  made.isTrusted = false;
  made.supportHtml = false;
  return made;
}
