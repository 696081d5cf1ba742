/** The log channel of this extension; a record is one line, whatever text it holds. */

import * as vscode from "vscode";
import { visible } from "./pure/inert";

/** What writes a record. */
const RECORDS = new Set<PropertyKey>(["trace", "debug", "info", "warn", "error"]);
/** What writes text as it comes. */
const PIECES = new Set<PropertyKey>(["append", "appendLine", "replace"]);

export const logger: vscode.LogOutputChannel = inert(vscode.window.createOutputChannel("analystd", { log: true }));

/** The channel, in which all text becomes inert; the language client writes to it, too. */
function inert(channel: vscode.LogOutputChannel): vscode.LogOutputChannel {
  return new Proxy(channel, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== "function") return member;
      const method = member as (...args: unknown[]) => unknown;
      const made = RECORDS.has(name) ? record : PIECES.has(name) ? piece : undefined;
      return made ? (...args: unknown[]) => method.apply(target, args.map(made)) : method.bind(target);
    },
  });
}

function record(argument: unknown): unknown {
  const text = argument instanceof Error ? (argument.stack ?? argument.message) : argument;
  return typeof text === "string" ? visible(text.trimEnd()).replaceAll("\n", "\n  | ") : text;
}

function piece(argument: unknown): unknown {
  return typeof argument === "string" ? visible(argument) : argument;
}
