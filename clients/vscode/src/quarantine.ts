/** What was moved aside because tools outside would run or believe it: telling of it, and putting it back when the user says so. */

import * as vscode from "vscode";
import type { Client } from "./client";
import { explain, NotRunningError } from "./errors";
import { Command, type QuarantineEntry, type QuarantineList, type RestoreResult, type RunEvent } from "./protocol";
import { inertPath, movedAside, restoreQuestion } from "./pure/quarantine";

const RESTORE = "Restore…";
const SHOW = "Show All";
const PUT_BACK = "Put Back";

export class QuarantineNotices {
  constructor(private readonly client: Client) {}

  /** Tell of an event, if it is about this. */
  async take(event: RunEvent): Promise<void> {
    if (event.kind !== "quarantined" || event.entry === undefined) return;
    const choice = await vscode.window.showWarningMessage(movedAside(event.entry), RESTORE, SHOW);
    try {
      if (choice === RESTORE) await this.restore(event.entry);
      if (choice === SHOW) await this.show();
    } catch (error) {
      if (!(error instanceof NotRunningError))
        void vscode.window.showErrorMessage(`analystd: ${inertPath(explain(error))}`);
    }
  }

  /** Let the user choose among all that was moved aside. */
  async show(): Promise<void> {
    const { entries } = await this.client.request<QuarantineList>(Command.listQuarantine, {});
    if (entries.length === 0) {
      void vscode.window.showInformationMessage("analystd: nothing is in quarantine.");
      return;
    }
    const items = entries.map((entry) => ({
      label: entry.moved.map(({ path }) => inertPath(path)).join(", "),
      description: new Date(entry.at * 1000).toLocaleString(),
      ...(entry.moved[0] && { detail: `Trusted by ${inertPath(entry.moved[0].trusted_by)}` }),
      entry,
    }));
    const picked = await vscode.window.showQuickPick(items, {
      title: "Moved aside, because tools outside would trust it",
      placeHolder: "What is to be put back?",
    });
    if (picked) await this.restore(picked.entry);
  }

  private async restore({ id }: QuarantineEntry): Promise<void> {
    const preview = await this.client.request<RestoreResult>(Command.restoreQuarantine, { id, preview: true });
    const { title, detail } = restoreQuestion(preview);
    const buttons = preview.problems.length > 0 ? [] : [PUT_BACK];
    const answer = await vscode.window.showWarningMessage(title, { modal: true, detail }, ...buttons);
    if (answer !== PUT_BACK) return;
    await this.client.request<RestoreResult>(Command.restoreQuarantine, { id, digest: preview.digest });
    void vscode.window.setStatusBarMessage("analystd: it was put back, read-only for sessions", 5000);
  }
}
