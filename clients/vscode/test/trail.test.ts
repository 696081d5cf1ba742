import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "../src/protocol";
import { fail, finishAgent, newEntry, take } from "../src/pure/trail";

function event(kind: string, rest: Partial<RunEvent> = {}): RunEvent {
  return { seq: 1, run_id: "run_1_00000000", kind, at: 0, client: null, client_id: null, session: "main", ...rest };
}

test("an answer with a tool call is built up from its events", () => {
  const entry = newEntry(1, "agent", "How many rows?");
  const events = [
    event("run_queued", { position: 0 }),
    event("run_started"),
    event("text", { text: "Let me look. " }),
    event("tool_call", { tool: "pyexe", arguments: { code: "print(2)" } }),
    event("output", { stream: "stdout", text: "2\n" }),
    event("tool_result", { tool: "pyexe", ok: true, text: "2", seconds: 1.25 }),
    event("text", { text: "There are " }),
    event("text", { text: "2 rows." }),
  ];
  for (const each of events) assert.equal(take(entry, each), true);
  assert.deepEqual(entry, {
    id: 1,
    kind: "agent",
    title: "How many rows?",
    about: "",
    state: "running",
    note: "",
    steps: [{ title: "pyexe print(2)", code: "print(2)", output: "2", state: "ok", time: "1.3 s" }],
    images: [],
    text: "There are 2 rows.",
    unsupported: [],
    warnings: [],
  });
});

test("a refused call is marked", () => {
  const entry = newEntry(1, "agent", "?");
  take(entry, event("tool_call", { tool: "read_file", arguments: { path: "../x" } }));
  take(entry, event("tool_result", { tool: "read_file", ok: false, text: "Path is outside workspace" }));
  assert.deepEqual(
    entry.steps.map(({ state, output }) => ({ state, output })),
    [{ state: "failed", output: "Path is outside workspace" }],
  );
});

test("a place in the queue is told until the run starts", () => {
  const entry = newEntry(1, "python", "x");
  take(entry, event("run_queued", { position: 2 }));
  assert.equal(entry.note, "waiting, 2 before it");
  take(entry, event("run_started"));
  assert.equal(entry.note, "");
});

test("output of a cell is text, and that of others' events nothing", () => {
  const entry = newEntry(1, "python", "x");
  take(entry, event("output", { text: "1 %\r2 %\r" }));
  take(entry, event("output", { text: "3 %\n" }));
  assert.equal(entry.text, "3 %\n");
  assert.equal(take(entry, event("session_reset")), false);
});

test("the end has the answer, the summary or the reason", () => {
  const entry = newEntry(1, "agent", "?");
  const usage = { prompt_tokens: 1, cached_tokens: 0, completion_tokens: 1, seconds: 0.1 };
  finishAgent(entry, { run_id: "r", conversation: "c", status: "limit", answer: "So far 3.", steps: [], usage });
  assert.deepEqual([entry.state, entry.text, entry.note], ["done", "So far 3.", "stopped at a limit, 1 token"]);
  fail(entry, "There is no model", false);
  assert.deepEqual([entry.state, entry.note], ["failed", "There is no model"]);
});
