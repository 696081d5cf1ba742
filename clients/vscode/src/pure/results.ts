/** Format results of Python and of the model: the line after the code, and the Markdown of its hover. */

import type { AgentResult, PythonError, PythonResult, Step } from "../protocol";
import { answerMarkdown } from "./answer";
import { unsupportedNote } from "./unsupported";
import { images, pngWidth } from "./images";
import { escapeMarkdown, fenced, inlineCode, visible } from "./inert";
import { counted, duration, filledLines, middleCut, oneLine, plainOutput } from "./text";

export type Tone = "ok" | "error" | "quiet";

/** The text after a line: `text` on one line, `hover` in Markdown. */
export interface Inline {
  tone: Tone;
  text: string;
  hover: string;
}

/** Maximum length of a hover that an editor shows. */
const HOVER_CHARACTERS = 90_000;
const HOVER_WIDTH = 480;
const TEXT_CHARACTERS = 8_000;
const ANSWER_CHARACTERS = 20_000;

/** A result of `execPython`; `firstLine` is the 1-based line of the file that the code started at. */
export function pythonInline(result: PythonResult, firstLine: number): Inline {
  return {
    tone: result.status === "ok" ? "ok" : result.status === "interrupted" && !lossOf(result) ? "quiet" : "error",
    text: pythonLine(result, firstLine),
    hover: pythonMarkdown(result),
  };
}

/** A result of `runAgent`. */
export function agentInline(result: AgentResult): Inline {
  const answer = oneLine(plainMarkdown(result.answer));
  const said = answer || oneLine(result.error?.message ?? result.status);
  const note = unsupportedNote(result.unsupported);
  const text = result.status === "cancelled" ? "cancelled" : note ? `⚠ ${said}` : said;
  return {
    tone: result.status === "failed" ? "error" : result.status === "cancelled" ? "quiet" : "ok",
    text,
    hover: [
      answerMarkdown(result.answer, result.unsupported, ANSWER_CHARACTERS),
      escapeMarkdown(note),
      ...(result.warnings ?? []).map((warning) => escapeMarkdown(`⚠ ${warning}`)),
      ...result.steps.map(stepMarkdown),
      `*${escapeMarkdown(agentSummary(result))}*`,
    ]
      .filter(Boolean)
      .join("\n\n"),
  };
}

/** `2 tool calls, 812 tokens, 3.4 s`. */
export function agentSummary(result: AgentResult): string {
  const parts = [
    result.status === "done" ? "" : result.status === "limit" ? "stopped at a limit" : result.status,
    result.steps.length > 0 ? counted(result.steps.length, "tool call") : "",
    result.usage.completion_tokens > 0 ? counted(result.usage.completion_tokens, "token") : "",
    duration(result.usage.seconds),
  ];
  const summary = parts.filter(Boolean).join(", ");
  return result.error ? `${summary}: ${oneLine(result.error.message, 300)}` : summary;
}

/** Return all output of code as plain text. */
export function pythonText(result: PythonResult): string {
  const displayed = result.displays
    .filter((display) => images([display]).length === 0)
    .map((each) => each["text/plain"]);
  return [
    result.stdout,
    result.stderr,
    ...displayed.filter((each) => typeof each === "string"),
    result.result ?? "",
    result.error ? errorText(result.error, result.status) : "",
  ]
    .map((part) => visible(plainOutput(part)).trimEnd())
    .filter(Boolean)
    .join("\n");
}

/** One step of a run, as one line: `data_view btc.csv, shape`. */
export function callLine(tool: string, args: Record<string, unknown>): string {
  const words = Object.entries(args).map(([name, value]) => {
    if (name === "code" && typeof value === "string") return filledLines(value)[0] ?? "";
    return typeof value === "string" ? value : `${name} ${JSON.stringify(value)}`;
  });
  return oneLine([tool, words.join(", ")].join(" "), 100);
}

/** The traceback, and the sentence about a limit, a timeout or a death, which no traceback has. */
function errorText({ name, message, traceback }: PythonError, status: PythonResult["status"]): string {
  const isInTraceback = traceback.length > 0 && (status === "error" || message === "");
  return [...traceback, ...(isInTraceback ? [] : [`${name}: ${message}`])].join("\n");
}

function pythonLine(result: PythonResult, firstLine: number): string {
  const took = duration(result.seconds);
  const time = took ? ` (${took})` : "";
  if (result.error && result.status !== "interrupted") {
    const where = result.error.line === null ? "" : ` in line ${firstLine + result.error.line - 1}`;
    return oneLine(`${result.error.name}${where}: ${result.error.message}`);
  }
  if (result.status === "interrupted") return oneLine(`interrupted${time}${lossOf(result)}`);
  if (result.status === "died") return `Python ended and its variables are lost${time}`;
  if (result.status === "limit") return `stopped at a limit${time}`;
  return whatCame(result) + time;
}

/** Return what an interrupt did to the session, if it did more than end the code. */
function lossOf(result: PythonResult): string {
  return result.error?.message ? `: ${result.error.message}` : "";
}

function whatCame(result: PythonResult): string {
  const value = filledLines(plainOutput(result.result ?? ""));
  const printed = filledLines(plainOutput(result.stdout || result.stderr));
  const pictures = images(result.displays).length;
  const tables = result.displays.length - pictures;
  const parts = [
    value.length > 1 ? `${oneLine(value[0] ?? "", 90)} … ${counted(value.length, "line")}` : oneLine(value[0] ?? ""),
    printed.length > 1 ? `… ${oneLine(printed.at(-1) ?? "", 90)}` : oneLine(printed[0] ?? ""),
    pictures > 0 ? counted(pictures, "image") : "",
    tables > 0 ? counted(tables, "display") : "",
  ];
  return parts.filter(Boolean).join(" · ") || "done";
}

function pythonMarkdown(result: PythonResult): string {
  const text = middleCut(pythonText(result), TEXT_CHARACTERS);
  const parts = [text ? fenced(text, result.error ? "python-traceback" : "text") : ""];
  if (result.truncated) parts.push("*The output was longer than what is kept.*");
  let room = HOVER_CHARACTERS - parts.join("").length;
  for (const image of images(result.displays)) {
    if (image.length > room) {
      parts.push("*An image is too large for this place.*");
      continue;
    }
    room -= image.length;
    parts.push(`![image](${image}|width=${Math.min(pngWidth(image) ?? HOVER_WIDTH, HOVER_WIDTH)})`);
  }
  return parts.filter(Boolean).join("\n\n");
}

function stepMarkdown(step: Step): string {
  return `${inlineCode(callLine(step.tool, step.arguments))}\n${fenced(middleCut(step.output, 1_000))}`;
}

/** Markdown's commonest marks taken away, for a place that shows none. */
function plainMarkdown(text: string): string {
  return text
    .replace(/^#+\s+/gm, "")
    .replace(/\*\*(.+?)\*\*/g, "$1")
    .replace(/^```.*$/gm, "")
    .replace(/`([^`]+)`/g, "$1");
}
