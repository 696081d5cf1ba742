/** What the answers view shows: one entry for each run, built up from events and the result. Plain data, so that it can be sent. */

import type { AgentResult, PythonResult, RunEvent } from "../protocol";
import { agentSummary, callLine, images, pythonText } from "./results";
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

/** One run. `about` says what was sent along. */
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
}

const OUTPUT_CHARACTERS = 20_000;

/** The entry of a run that was just asked for. */
export function newEntry(id: number, kind: Entry["kind"], title: string, about = ""): Entry {
  return { id, kind, title, about, state: "waiting", note: "", steps: [], images: [], text: "" };
}

/** Take an event of the entry's run into it; gives whether anything changed. */
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
      // What the model wrote before a call is a thought on the way, not the answer.
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
      if (step?.state === "running")
        step.output = tail(plainOutput(step.output + (event.text ?? "")), OUTPUT_CHARACTERS);
      else if (entry.kind === "python")
        entry.text = tail(plainOutput(entry.text + (event.text ?? "")), OUTPUT_CHARACTERS);
      return true;
    case "display":
      if (event.data) entry.images.push(...images([event.data]));
      return true;
    case "tool_result":
      if (!step) return false;
      step.output = middleCut(plainOutput(event.text ?? step.output), OUTPUT_CHARACTERS);
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
  entry.note = agentSummary(result);
}

/** Close an entry with the result of code. */
export function finishPython(entry: Entry, result: PythonResult): void {
  entry.state = result.status === "ok" ? "done" : result.status === "interrupted" ? "cancelled" : "failed";
  entry.text = middleCut(pythonText(result), OUTPUT_CHARACTERS);
  entry.images = images(result.displays);
  entry.note = [result.status === "ok" ? "" : result.status, duration(result.seconds)].filter(Boolean).join(", ");
}

/** Close an entry that never got a result. */
export function fail(entry: Entry, message: string, cancelled: boolean): void {
  entry.state = cancelled ? "cancelled" : "failed";
  entry.note = cancelled ? "cancelled" : message;
}
