import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { answerMarkdown, type AnswerNode, parseAnswer } from "../src/pure/answer";
import { agentInline } from "../src/pure/results";
import { finishAgent, newEntry } from "../src/pure/trail";
import { unsupportedNote } from "../src/pure/unsupported";
import type { AgentResult, UnsupportedNumber } from "../src/protocol";

/** The numbers `texts` where they stand in `answer`, one after the other, counted as the daemon counts: in code points. */
function numbers(answer: string, ...texts: string[]): UnsupportedNumber[] {
  let from = 0;
  return texts.map((text) => {
    const at = answer.indexOf(text, from);
    assert.ok(at >= 0, text);
    from = at + text.length;
    const start = Array.from(answer.slice(0, at)).length;
    return { text, start, end: start + Array.from(text).length };
  });
}

/** What of a tree is marked, and all its text. */
function read(nodes: readonly AnswerNode[]): { marked: string[]; text: string } {
  const marked: string[] = [];
  const walk = (each: readonly AnswerNode[]): string =>
    each
      .map((node) => {
        const text = typeof node === "string" ? node : walk(node.children);
        if (typeof node !== "string" && node.tag === "mark") marked.push(text);
        return text;
      })
      .join("");
  return { text: walk(nodes), marked };
}

describe("numbers from nowhere are marked", () => {
  const cases: [string, string, string[]][] = [
    ["in a sentence", "The mean is 11.25, the median 11.9.", ["11.9"]],
    ["the second of two that are alike", "It is 5 and not 5.", ["5"]],
    ["after characters of two units", "🙂 𝟙 𝕏 is 7.5, 🙂🙂 then 8.", ["7.5", "8"]],
    ["among joined emoji", "👨‍👩‍👧 1.5 👨‍👩‍👧 2.5", ["1.5", "2.5"]],
    ["in emphasis", "The **12.5** and _13.5_ and ~~14.5~~", ["12.5", "13.5", "14.5"]],
    ["in code", "Use `x = 12.5` or\n\n```\n13.5\n```", ["12.5", "13.5"]],
    ["in a table", "| a | b |\n|---|---|\n| 1 | 12.5 |\n| 2 | 13.5 |", ["12.5", "13.5"]],
    ["in a list", "1. one is 3.5\n2. two is −4 %\n   - 5e-07", ["3.5", "−4 %", "5e-07"]],
    ["at the very ends", "12 and 13", ["12", "13"]],
    ["at the beginning of a line, with a point", "About\n\n2024. And so on", ["2024"]],
    ["in a heading", "# 42\n\nDone", ["42"]],
    ["beside hidden characters", "a\u200bb 7 c\u202e 8", ["7", "8"]],
  ];
  for (const [name, answer, texts] of cases) {
    test(name, () => {
      const { marked, text } = read(parseAnswer(answer, numbers(answer, ...texts)));
      assert.deepEqual(marked, texts);
      for (const each of texts) assert.ok(text.includes(each), text);
      assert.doesNotMatch(text, /[\ufdd0\ufdd1]/);
    });
  }
});

test("the second of two alike is marked where it stands", () => {
  const answer = "It is 5 and not 5.";
  assert.deepEqual(parseAnswer(answer, [{ text: "5", start: 16, end: 17 }]), [
    { tag: "p", children: ["It is 5 and not ", { tag: "mark", children: ["5"] }, "."] },
  ]);
});

test("what does not stand where it is said to stand is not marked", () => {
  const answer = "🙂 12 and 13";
  const wrong = [
    { text: "12", start: 3, end: 5 },
    { text: "13", start: 99, end: 101 },
    { text: "1", start: -1, end: 0 },
    { text: "", start: 2, end: 2 },
  ];
  assert.deepEqual(parseAnswer(answer, wrong), parseAnswer(answer));
  assert.deepEqual(read(parseAnswer(answer, [...numbers(answer, "12"), ...wrong])).marked, ["12"]);
});

test("numbers that overlap are marked once", () => {
  const twice = [...numbers("12.5", "12.5"), { text: "5", start: 3, end: 4 }];
  assert.deepEqual(read(parseAnswer("12.5", twice)).marked, ["12.5"]);
});

test("no text of a model is a mark, or takes one away", () => {
  const answer = "<mark>1</mark> \ufdd02\ufdd1 ==3== \ufdd14\ufdd0";
  assert.deepEqual(read(parseAnswer(answer)).marked, []);
  const { marked, text } = read(parseAnswer(answer, numbers(answer, "4")));
  assert.deepEqual(marked, ["4"]);
  assert.doesNotMatch(text, /[\ufdd0\ufdd1]/);
});

test("a hover shows the marks and says what they mean", () => {
  const answer = "The mean is **11.25**, the median 11.9.";
  assert.equal(answerMarkdown(answer, numbers(answer, "11.9")), "The mean is **11\\.25**\\, the median 11\\.9⚠\\.");
});

test("a long answer that is cut keeps the marks of what is left", () => {
  const answer = `1.5 ${"x".repeat(5000)} 2.5 ${"x".repeat(5000)} 3.5`;
  const { marked, text } = read(parseAnswer(answer, numbers(answer, "1.5", "2.5", "3.5"), 200));
  assert.deepEqual(marked, ["1.5", "3.5"]);
  assert.doesNotMatch(text, /[\ufdd0\ufdd1]/);
});

test("many numbers are marked in no time, and some are named", { timeout: 10_000 }, () => {
  const answer = Array.from({ length: 20_000 }, (_, index) => `🙂${index}`).join(" ");
  const all = numbers(answer.slice(0, 2000), ...Array.from({ length: 100 }, (_, index) => String(index)));
  assert.equal(read(parseAnswer(answer, all)).marked.length, 100);
  assert.equal(
    unsupportedNote(all),
    "⚠ In no output of this conversation: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …. Check before you use it.",
  );
  assert.equal(unsupportedNote([]), "");
});

test("an answer's doubts are shown beside it, in line and in the hover", () => {
  const answer = "It is 11.9.";
  const result: AgentResult = {
    run_id: "run_1_00000000",
    conversation: "c",
    status: "done",
    answer,
    steps: [],
    usage: { prompt_tokens: 1, cached_tokens: 0, completion_tokens: 1, seconds: 1 },
    unsupported: numbers(answer, "11.9"),
    warnings: ["The server [cut](command:x) it."],
  };
  const entry = newEntry(1, "agent", "?");
  finishAgent(entry, result);
  assert.deepEqual([entry.unsupported, entry.warnings], [result.unsupported, result.warnings]);
  const { text, hover } = agentInline(result);
  assert.equal(text, "⚠ It is 11.9.");
  assert.match(hover, /11\\\.9⚠/);
  assert.match(hover, /⚠ In no output of this conversation\\: 11\\\.9\\\./);
  assert.match(hover, /⚠ The server \\\[cut\\\]/);
  assert.equal(agentInline({ ...result, unsupported: [], warnings: [] }).text, "It is 11.9.");
});
