import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AgentResult, PythonResult } from "../src/protocol";
import { fenced } from "../src/pure/inert";
import { agentInline, callLine, pythonInline, pythonText } from "../src/pure/results";

const NOTHING: PythonResult = {
  run_id: "run_1_00000000",
  status: "ok",
  execution_count: 1,
  stdout: "",
  stderr: "",
  result: null,
  displays: [],
  error: null,
  truncated: false,
  seconds: 0.01,
};
const HEADER = "iVBORw0KGgoAAAANSUhEUgAAAUAAAACgCAIAAAC=";
const PNG = { "image/png": HEADER, "text/plain": "<Figure>" };

function line(result: Partial<PythonResult>, firstLine = 1): string {
  return pythonInline({ ...NOTHING, ...result }, firstLine).text;
}

describe("the line after code", () => {
  test("is the value", () => assert.equal(line({ result: "42" }), "42"));
  test("is the first line of a long value", () =>
    assert.equal(line({ result: "   open  close\n0  1  2" }), "open close … 2 lines"));
  test("is what was printed last", () => assert.equal(line({ stdout: "one\ntwo\n" }), "… two"));
  test("has value and print", () => assert.equal(line({ result: "42", stdout: "hello\n" }), "42 · hello"));
  test("counts images", () => assert.equal(line({ displays: [PNG, PNG] }), "2 images"));
  test("says that silent code ended", () => assert.equal(line({}), "done"));
  test("has the time of slow code", () => assert.equal(line({ result: "1", seconds: 2.34 }), "1 (2.3 s)"));
  test("names the line of an error in the file", () => {
    const error = { name: "NameError", message: "name 'x' is not defined", traceback: [], line: 3 };
    assert.equal(line({ status: "error", error }, 10), "NameError in line 12: name 'x' is not defined");
    assert.equal(pythonInline({ ...NOTHING, status: "error", error }, 1).tone, "error");
  });
  test("says why there is no result", () => {
    assert.equal(line({ status: "interrupted", seconds: 3 }), "interrupted (3.0 s)");
    assert.equal(line({ status: "died" }), "Python ended and its variables are lost");
  });
});

describe("the hover", () => {
  test("has all output in order, then images", () => {
    const result = {
      ...NOTHING,
      stdout: "out\n",
      stderr: "err\n",
      result: "value",
      displays: [PNG, { "text/plain": "shown" }],
    };
    assert.equal(pythonText(result), "out\nerr\nshown\nvalue");
    const { hover } = pythonInline(result, 1);
    assert.equal(hover, `${fenced("out\nerr\nshown\nvalue")}\n\n![image](data:image/png;base64,${HEADER}|width=320)`);
  });

  test("leaves out an image that would be cut off", () => {
    const { hover } = pythonInline(
      { ...NOTHING, displays: [{ "image/png": HEADER.slice(0, -4) + "A".repeat(100_000) }] },
      1,
    );
    assert.match(hover, /too large/);
    assert.ok(hover.length < 1000);
  });

  test("is fenced so that output cannot leave its fence", () => {
    assert.equal(fenced("a\n```\nb"), "````text\na\n```\nb\n````");
  });
});

describe("why code ended is told", () => {
  const limit = {
    name: "TimeoutError",
    message: "The code ran longer than 2 s and was interrupted; the variables are kept.",
    traceback: ["KeyboardInterrupt: "],
    line: 1,
  };
  test("after the line and in the hover, beside the traceback", () => {
    const result = { ...NOTHING, status: "limit" as const, error: limit };
    assert.match(pythonInline(result, 1).text, /TimeoutError in line 1: The code ran longer than 2 s/);
    assert.match(pythonText(result), /^KeyboardInterrupt: \nTimeoutError: The code ran .* variables are kept\.$/);
  });
  test("also when an interrupt took the variables", () => {
    const error = { ...limit, name: "KeyboardInterrupt", message: "All variables are lost." };
    const { text, tone } = pythonInline({ ...NOTHING, status: "interrupted", error }, 1);
    assert.deepEqual([text, tone], ["interrupted: All variables are lost.", "error"]);
  });
  test("and once, where the traceback has it", () => {
    const error = { name: "E", message: "m", traceback: ["Traceback", "E: m"], line: 1 };
    assert.equal(pythonText({ ...NOTHING, status: "error", error }), "Traceback\nE: m");
  });
  test("of an answer that failed, too", () => {
    const error = { kind: "engine_unavailable", message: "There is no model", hint: null };
    const usage = { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0, seconds: 0 };
    const failed = { run_id: "r", conversation: "c", status: "failed" as const, answer: "", steps: [], usage, error };
    assert.equal(agentInline(failed).text, "There is no model");
    assert.match(agentInline(failed).hover, /There is no model/);
  });
});

describe("answers", () => {
  const result: AgentResult = {
    run_id: "run_1_00000000",
    conversation: "c",
    status: "done",
    answer: "The **mean** is `3.5`.\n\n![x](https://example.org/?leak)",
    steps: [
      {
        tool: "data_view",
        arguments: { path: "a.csv", operation: "shape" },
        ok: true,
        output: "Shape: 2 rows",
        seconds: 0.1,
      },
    ],
    usage: { prompt_tokens: 10, cached_tokens: 0, completion_tokens: 20, seconds: 1.5 },
  };

  test("stand after the line without marks", () => {
    assert.equal(agentInline({ ...result, answer: "The **mean** is `3.5`." }).text, "The mean is 3.5.");
  });

  test("load no image from anywhere", () => {
    assert.ok(!agentInline(result).hover.includes("!["));
  });

  test("come with their calls and their cost", () => {
    const { hover } = agentInline(result);
    assert.match(hover, /` data_view a.csv, shape `\n```text\nShape: 2 rows\n```/);
    assert.match(hover, /\*1 tool call\\, 20 tokens\\, 1\\\.5 s\*$/);
  });

  test("name a call by its first line of code", () => {
    assert.equal(callLine("pyexe", { code: "\nimport pandas\nx = 1", reset: true }), "pyexe import pandas, reset true");
  });
});
