/** A cancellable progress notification for work that takes longer than a moment. */

import * as vscode from "vscode";
import { notifyProgress } from "./surfaces";

const PATIENCE_MS = 700;

/** Do `work` at once; after a moment a notification with a Cancel button appears, which cancels the token. */
export async function withProgress<Result>(
  title: string,
  work: (token: vscode.CancellationToken, report: (message: string) => void) => Promise<Result>,
): Promise<Result> {
  const source = new vscode.CancellationTokenSource();
  let latest = "";
  let report = (message: string): void => void (latest = message);
  const result = work(source.token, (message) => report(message));
  const timer = setTimeout(() => {
    notifyProgress(title, async (show, token) => {
      token.onCancellationRequested(() => source.cancel());
      report = show;
      if (latest) report(latest);
      await result.catch(() => undefined);
    });
  }, PATIENCE_MS);
  try {
    return await result;
  } finally {
    clearTimeout(timer);
    source.dispose();
  }
}
