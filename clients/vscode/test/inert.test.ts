import assert from "node:assert/strict";
import { describe, test } from "node:test";
import MarkdownIt from "markdown-it";
import { answerMarkdown, type AnswerNode, parseAnswer, TAGS } from "../src/pure/answer";
import { escapeMarkdown, fenced, inlineCode, lineText, markdownText, messageText, visible } from "../src/pure/inert";

/** What an editor makes a link, an image, a tag or a mark of, or what hides and turns text. */
const HOSTILE: Record<string, string> = {
  "a link to a command": "[Continue](command:workbench.action.terminal.new)",
  "a link with a title": '[Continue](https://host/leak "title")',
  "a link in angle brackets": "[Continue](<command:x y>)",
  "a link over lines": "[Con\ntinue](command:x)",
  "a link in a label": "[[a](command:x)](command:y)",
  "a link of the editor": "[x](vscode://publisher.extension/run)",
  "a file": "[x](file:///etc/passwd)",
  "a script": "[x](javascript:alert(1))",
  "a reference": "[x][r]\n\n[r]: https://host/leak",
  "a short reference": "[r]\n\n[r]: command:x 'title'",
  "an address in angle brackets": "<https://host/leak> <me@host.org>",
  "a bare address": "see https://host/leak, www.host.org, ftp://host/x and me@host.org",
  "an image": "![x](https://host/leak)",
  "an image by reference": "![x][r]\n\n[r]: https://host/leak",
  "an image in a link": "[![x](https://host/leak)](command:x)",
  "an image that a display ends": "AAAA)![x](https://host/leak",
  tags: '<img src="https://host/leak" onerror="x()"><a href="command:x">go</a><script>x()</script><!-- -->',
  "tags over lines": "<div>\n<img src=https://host/leak>\n</div>",
  entities: "&lt;a href&#61;x&gt; &#91;x&#93;&#40;command:x&#41;",
  backslashes: "\\[x](command:x) \\\\[x](command:x) \\\\\\[x](command:x)",
  "a fence that is broken out of": "```\n[x](command:x)\n~~~\n````\n![x](https://host/leak)",
  "an open fence": "````text\n[x](command:x)",
  backticks: "`a` ``[x](command:x)`` `` ` ![x](https://host/leak) ```",
  "indented code": "    [x](command:x)\n\n\t![x](https://host/leak)",
  "a heading, a list, a quotation":
    "# [x](command:x)\n- ![x](https://host/leak)\n> <https://host/leak>\n1. [x](command:x)",
  "a table": "| a | b |\n|---|---|\n| [x](command:x) | `![x](https://host/leak)` `|` |",
  "underlined headings": "[x](command:x)\n===\n![x](https://host/leak)\n---",
  icons: "$(gear) \\$(gear) $(loading~spin)",
  emphasis: "**[x](command:x)** *![x](https://host/leak)* ~~<b>~~",
  controls: "\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\ \x07\x08\x7f\x9b31m a\rb",
  "turned and hidden": "[x\u202e](command:x) \u2066a\u2069 a\u200bb \ufeff \u2028 \u{e0041} \ud800",
};

/** Characters that are obeyed or hidden. */
const UNSAFE = /[^\P{C}\n\t]|\p{Zl}|\p{Zp}/u;

/** What another reader of Markdown, one that takes all it knows for meant, makes of it. */
function marksIn(text: string): string[] {
  const reader = new MarkdownIt({ html: true, linkify: true });
  reader.validateLink = () => true;
  const tokens = reader.parse(text, {}).flatMap((token) => [token, ...(token.children ?? [])]);
  return tokens.map((token) => token.type);
}

/** These would do something only in the middle of other text. */
const HARMLESS_ALONE = ["entities", "icons", "an open fence", "indented code"];

const ACTIVE = ["link_open", "image", "html_inline", "html_block"];

function isInert(text: string): boolean {
  return !UNSAFE.test(text) && !marksIn(text).some((type) => ACTIVE.includes(type));
}

for (const [name, text] of Object.entries(HOSTILE)) {
  describe(name, () => {
    if (!HARMLESS_ALONE.includes(name)) test("would do something", () => assert.ok(!isInert(text)));
    test("is text in Markdown", () => {
      const shown = markdownText(text);
      assert.ok(isInert(shown), shown);
      assert.deepEqual(
        marksIn(shown).filter((type) => !["text", "text_special", "hardbreak"].includes(type)),
        ["paragraph_open", "inline", "paragraph_close"],
      );
    });
    test("is text within a line of Markdown", () => {
      assert.ok(isInert(`**a** ${escapeMarkdown(text)} b`));
      assert.ok(!escapeMarkdown(text).includes("\n"));
    });
    test("is code", () => {
      const lines = marksIn(fenced(text));
      assert.deepEqual(lines, ["fence"], fenced(text));
      assert.ok(isInert(`a ${inlineCode(text)} b`), inlineCode(text));
    });
    test("is an answer without links, images and tags", () => {
      const shown = answerMarkdown(text);
      assert.ok(isInert(shown), shown);
      const inAnswer = answerMarkdown(`# Title\n\n- ${text}\n\n| a |\n|---|\n| ${text} |\n\n> ${text}`);
      assert.ok(isInert(inAnswer), inAnswer);
    });
    test("is a message without links and icons", () => {
      const shown = messageText(text);
      assert.doesNotMatch(shown, /\]\(|\$\(|\n/);
      assert.ok(!UNSAFE.test(shown), shown);
    });
  });
}

test("an answer is a tree of elements without attributes", () => {
  const allowed = new Set<string>(TAGS);
  const check = (node: AnswerNode): void => {
    if (typeof node === "string") return;
    assert.deepEqual(Object.keys(node), ["tag", "children"]);
    assert.ok(allowed.has(node.tag), node.tag);
    node.children.forEach(check);
  };
  for (const text of Object.values(HOSTILE)) parseAnswer(text).forEach(check);
});

describe("an answer keeps its marks", () => {
  const cases: [string, string, string][] = [
    ["emphasis", "The **mean** is *about* `3.5`.", "The **mean** is *about* ` 3.5 `\\."],
    ["a list", "- one\n- two\n  - three", "- one\n- two\n  \n  - three"],
    ["a numbered list", "1. one\n2. two", "1. one\n2. two"],
    ["a heading and a rule", "## Title\n\n---\n\ntext", "## Title\n\n---\n\ntext"],
    ["a quotation", "> said\n> so", "> said so"],
    ["code", "```py\nx = [1](2)\n```", "```text\nx = [1](2)\n```"],
    ["a table", "| a | b |\n|---|--:|\n| 1 | `2` |", "| a | b |\n| --- | --- |\n| 1 | 2 |"],
    ["an address alone", "<https://host.org>", "https\\:\\/\\/host\\.org"],
    ["a link as text", "See [docs](https://host.org/a).", "See docs \\(https\\:\\/\\/host\\.org\\/a\\)\\."],
  ];
  for (const [name, text, expected] of cases) {
    test(name, () => assert.equal(answerMarkdown(text), expected));
  }
});

test("ordinary text stays as it is", () => {
  const text = "Zürich 東京 👨‍👩‍👧 می‌خواهم — “5” \tx";
  assert.equal(visible(text), text);
  assert.equal(messageText("values[0] (of 3) cost 5 $"), "values[0] (of 3) cost 5 $");
  assert.equal(lineText(" a\n b "), "a b");
});

test("what is unsafe is shown as an escape", () => {
  assert.equal(visible("\x1b[31m\r\u202e\u{e0041}\ud800\x85"), "\\x1b[31m\\r\\u202e\\U000e0041\\ud800\\x85");
  assert.equal(visible("a\r\nb"), "a\r\nb");
  assert.equal(visible("pass\u200dword"), "pass\\u200dword");
});

test("a message is short", () => assert.ok(messageText("x".repeat(1e6)).length <= 1010));

test("long runs of backticks are fenced", () => {
  assert.ok(fenced("`".repeat(200_000)).startsWith("`".repeat(200_001)));
});
