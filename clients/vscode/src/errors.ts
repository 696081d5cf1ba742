/** What went wrong, in words for people. */

import { LSPErrorCodes, ResponseError } from "vscode-languageclient/node";

/** The server could not be used; whoever found out has said so already. */
export class NotRunningError extends Error {}

export function isCancelled(error: unknown): boolean {
  return error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled;
}

/** The message of an error, with the server's hint of what to do. */
export function explain(error: unknown): string {
  if (error instanceof ResponseError) {
    const data = error.data as { hint?: string | null } | null | undefined;
    return data?.hint ? `${sentence(error.message)} ${data.hint}` : error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
