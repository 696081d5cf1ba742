/** The entries of the answers view: one for each run, built from its events and result. They are plain data, so that they can be sent. */

import type { AgentResult, PythonResult, RunEvent, UnsupportedNumber } from "../protocol";
import { images } from "./images";
import { visible } from "./inert";
import { agentSummary, callLine, pythonText } from "./results";
import { duration, middleCut, plainOutput, tail } from "./text";

export type EntryState = "waiting" | "running" | "done" | "failed" | "cancelled";

/** One tool call of an entry. */
export interface TrailStep {
  title: string;
  code: string | null;
  output: string;
  state: "running" | "ok" | "failed";
  time: string;
}

/** One run. `about` describes the selection that was sent with the question. */
export interface Entry {
  id: number;
  kind: "agent" | "python";
  title: string;
  about: string;
  state: EntryState;
  note: string;
  steps: TrailStep[];
  images: string[];
  text: string;
  /** Numbers of the answer that appear in no output. */
  unsupported: UnsupportedNumber[];
  warnings: string[];
}

const OUTPUT_CHARACTERS = 20_000;
/** Maximum number of images kept of a run: the latest ones. */
const MAX_IMAGES = 50;
const MAX_IMAGES_CHARACTERS = 32_000_000;

/** Return the entry of a new run. */
export function newEntry(id: number, kind: Entry["kind"], title: string, about = ""): Entry {
  return {
    id,
    kind,
    title,
    about,
    state: "waiting",
    note: "",
    steps: [],
    images: [],
    text: "",
    unsupported: [],
    warnings: [],
  };
}

/** Add an event to its run's entry, and return whether the entry changed. */
export function take(entry: Entry, event: RunEvent): boolean {
  const step = entry.steps.at(-1);
  switch (event.kind) {
    case "run_queued":
    case "run_waiting":
      entry.note = event.position ? `waiting, ${event.position} before it` : "";
      return true;
    case "run_started":
      entry.state = "running";
      entry.note = "";
      return true;
    case "text":
      entry.text += event.text ?? "";
      return true;
    case "tool_call":
      // Text before a call is not part of the answer.
      entry.text = "";
      entry.steps.push({
        title: callLine(event.tool ?? "", event.arguments ?? {}),
        code: typeof event.arguments?.code === "string" ? event.arguments.code : null,
        output: "",
        state: "running",
        time: "",
      });
      return true;
    case "output":
      if (step?.state === "running") step.output = tail(shown(step.output + (event.text ?? "")), OUTPUT_CHARACTERS);
      else if (entry.kind === "python") entry.text = tail(shown(entry.text + (event.text ?? "")), OUTPUT_CHARACTERS);
      return true;
    case "display":
      if (event.data) entry.images = latest([...entry.images, ...images([event.data])]);
      return true;
    case "limit":
    case "worker_died":
      entry.note = event.text ?? "";
      return true;
    case "tool_result":
      if (!step) return false;
      step.output = middleCut(shown(event.text ?? step.output), OUTPUT_CHARACTERS);
      step.state = event.ok === false ? "failed" : "ok";
      step.time = duration(event.seconds ?? 0);
      return true;
    default:
      return false;
  }
}

/** Close an entry with the answer of a question. */
export function finishAgent(entry: Entry, result: AgentResult): void {
  entry.state = result.status === "cancelled" ? "cancelled" : result.status === "failed" ? "failed" : "done";
  entry.text = result.answer;
  entry.unsupported = result.unsupported ?? [];
  entry.warnings = result.warnings ?? [];
  entry.note = agentSummary(result);
}

/** Close an entry with the result of code. */
export function finishPython(entry: Entry, result: PythonResult): void {
  entry.state = result.status === "ok" ? "done" : result.status === "interrupted" ? "cancelled" : "failed";
  entry.text = middleCut(pythonText(result), OUTPUT_CHARACTERS);
  entry.images = latest(images(result.displays));
  entry.note = [result.status === "ok" ? "" : result.status, duration(result.seconds)].filter(Boolean).join(", ");
}

/** Close an entry whose run has no result. */
export function fail(entry: Entry, message: string, cancelled: boolean): void {
  entry.state = cancelled ? "cancelled" : "failed";
  entry.note = cancelled ? "cancelled" : message;
}

/** Output made plain and inert; a carriage return at its end still waits for its effect. */
function shown(text: string): string {
  const plain = plainOutput(text);
  return plain.endsWith("\r") ? `${visible(plain.slice(0, -1))}\r` : visible(plain);
}

function latest(all: readonly string[]): string[] {
  const kept: string[] = [];
  let room = MAX_IMAGES_CHARACTERS;
  for (const image of all.slice(-MAX_IMAGES).reverse()) {
    room -= image.length;
    if (room < 0) break;
    kept.unshift(image);
  }
  return kept;
}
