/** Errors as messages for the user. */

import { LSPErrorCodes, ResponseError } from "vscode-languageclient/node";

/** Thrown when the server is not running; the user has been informed already. */
export class NotRunningError extends Error {}

export function isCancelled(error: unknown): boolean {
  return error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled;
}

/** Return the message of an error, with the server's hint. */
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
