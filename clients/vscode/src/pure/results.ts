/** How a result of Python or of the model reads: the line after the code, and the Markdown behind it. */

import type { AgentResult, MimeBundle, PythonResult, Step } from "../protocol";
import { counted, duration, filledLines, middleCut, oneLine, plainOutput } from "./text";

export type Tone = "ok" | "error" | "quiet";

/** What stands after a line: `text` on one line, `hover` in Markdown. */
export interface Inline {
  tone: Tone;
  text: string;
  hover: string;
}

/** An editor shows no more of a hover than this, whatever it holds. */
const HOVER_CHARACTERS = 90_000;
const HOVER_WIDTH = 480;
const TEXT_CHARACTERS = 8_000;

/** A result of `execPython`; `firstLine` is the 1-based line of the file that the code started at. */
export function pythonInline(result: PythonResult, firstLine: number): Inline {
  return {
    tone: result.status === "ok" ? "ok" : result.status === "interrupted" ? "quiet" : "error",
    text: pythonLine(result, firstLine),
    hover: pythonMarkdown(result),
  };
}

/** A result of `runAgent`. */
export function agentInline(result: AgentResult): Inline {
  const answer = oneLine(plainMarkdown(result.answer));
  const text = result.status === "cancelled" ? "cancelled" : answer || result.status;
  return {
    tone: result.status === "failed" ? "error" : result.status === "cancelled" ? "quiet" : "ok",
    text,
    hover: [withoutImages(result.answer), ...result.steps.map(stepMarkdown), `*${agentSummary(result)}*`]
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
  return parts.filter(Boolean).join(", ");
}

/** The images of displays as `data:` URIs, the best one of each display. */
export function images(displays: readonly MimeBundle[]): string[] {
  return displays.flatMap((display) => {
    for (const type of ["image/png", "image/jpeg", "image/gif", "image/webp"]) {
      const data = display[type];
      if (typeof data === "string") return [`data:${type};base64,${data.replace(/\s/g, "")}`];
    }
    const svg = display["image/svg+xml"];
    return typeof svg === "string" ? [`data:image/svg+xml,${escapeUri(svg)}`] : [];
  });
}

/** Everything that code gave, as plain text. */
export function pythonText(result: PythonResult): string {
  const displayed = result.displays
    .filter((display) => images([display]).length === 0)
    .map((each) => each["text/plain"]);
  return [
    result.stdout,
    result.stderr,
    ...displayed.filter((each) => typeof each === "string"),
    result.result ?? "",
    result.error ? result.error.traceback.join("\n") || `${result.error.name}: ${result.error.message}` : "",
  ]
    .map((part) => plainOutput(part).trimEnd())
    .filter(Boolean)
    .join("\n");
}

/** A fence that `text` cannot close. */
export function fenced(text: string, language = "text"): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

/** One step of a run, as one line: `data_view btc.csv, shape`. */
export function callLine(tool: string, args: Record<string, unknown>): string {
  const words = Object.entries(args).map(([name, value]) => {
    if (name === "code" && typeof value === "string") return filledLines(value)[0] ?? "";
    return typeof value === "string" ? value : `${name} ${JSON.stringify(value)}`;
  });
  return oneLine([tool, words.join(", ")].join(" "), 100);
}

function pythonLine(result: PythonResult, firstLine: number): string {
  const took = duration(result.seconds);
  const time = took ? ` (${took})` : "";
  if (result.error && result.status !== "interrupted") {
    const where = result.error.line === null ? "" : ` in line ${firstLine + result.error.line - 1}`;
    return oneLine(`${result.error.name}${where}: ${result.error.message}`);
  }
  if (result.status === "interrupted") return `interrupted${time}`;
  if (result.status === "died") return `Python ended and its variables are lost${time}`;
  if (result.status === "limit") return `stopped at a limit${time}`;
  return whatCame(result) + time;
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
  return `\`${callLine(step.tool, step.arguments).replaceAll("`", "'")}\`\n${fenced(middleCut(step.output, 1_000))}`;
}

/** The width that the header of a PNG gives, in pixels; null for another kind of image. */
function pngWidth(image: string): number | null {
  const data = /^data:image\/png;base64,(.{32})/.exec(image)?.[1];
  if (data === undefined) return null;
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new DataView(bytes.buffer).getUint32(16);
}

/** Markdown whose images stay text: a hover would fetch them, from wherever an answer says. */
function withoutImages(text: string): string {
  return text.replaceAll("![", "!\\[");
}

/** As `encodeURIComponent`, and without the parentheses that would end a link in Markdown. */
function escapeUri(text: string): string {
  return encodeURIComponent(text).replaceAll("(", "%28").replaceAll(")", "%29");
}

/** Markdown's commonest marks taken away, for a place that shows none. */
function plainMarkdown(text: string): string {
  return text
    .replace(/^#+\s+/gm, "")
    .replace(/\*\*(.+?)\*\*/g, "$1")
    .replace(/^```.*$/gm, "")
    .replace(/`([^`]+)`/g, "$1");
}
