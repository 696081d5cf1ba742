/** Report files that were moved aside because programs outside the jail would trust them, and restore them when the user agrees. */

import type { Client } from "./client";
import { explain, NotRunningError } from "./errors";
import { Command, type QuarantineEntry, type QuarantineList, type RestoreResult, type RunEvent } from "./protocol";
import { inertPath, movedAside, restoreQuestion } from "./pure/quarantine";
import { confirm, pick, showError, showInformation, showStatus, showWarning } from "./surfaces";

const RESTORE = "Restore…";
const SHOW = "Show All";
const PUT_BACK = "Restore";

export class QuarantineNotices {
  constructor(private readonly client: Client) {}

  /** Show a message on an event, if it is about the quarantine. */
  async take(event: RunEvent): Promise<void> {
    if (event.kind !== "quarantined" || event.entry === undefined) return;
    const choice = await showWarning(movedAside(event.entry), RESTORE, SHOW);
    try {
      if (choice === RESTORE) await this.restore(event.entry);
      if (choice === SHOW) await this.show();
    } catch (error) {
      if (!(error instanceof NotRunningError)) void showError(`analystd: ${explain(error)}`);
    }
  }

  /** Let the user choose an entry of the quarantine to restore. */
  async show(): Promise<void> {
    const { entries } = await this.client.request<QuarantineList>(Command.listQuarantine, {});
    if (entries.length === 0) {
      void showInformation("analystd: nothing is in quarantine.");
      return;
    }
    const items = entries.map((entry) => ({
      label: entry.moved.map(({ path }) => inertPath(path)).join(", "),
      description: new Date(entry.at * 1000).toLocaleString(),
      ...(entry.moved[0] && { detail: `Trusted by ${inertPath(entry.moved[0].trusted_by)}` }),
      entry,
    }));
    const picked = await pick(
      items,
      "Moved aside, because programs outside the jail would trust it",
      "Choose what to restore",
    );
    if (picked) await this.restore(picked.entry);
  }

  private async restore({ id }: QuarantineEntry): Promise<void> {
    const preview = await this.client.request<RestoreResult>(Command.restoreQuarantine, { id, preview: true });
    const { title, detail } = restoreQuestion(preview);
    if (!(await confirm(title, preview.problems.length > 0 ? undefined : PUT_BACK, detail))) return;
    await this.client.request<RestoreResult>(Command.restoreQuarantine, { id, digest: preview.digest });
    showStatus("analystd: restored; sessions can only read it");
  }
}
