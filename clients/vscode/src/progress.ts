/** A cancellable progress notification for work that takes long enough to deserve one. */

import * as vscode from "vscode";

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
    const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
    void vscode.window.withProgress(options, async (progress, token) => {
      token.onCancellationRequested(() => source.cancel());
      report = (message) => progress.report({ message });
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
