/** A model's answer, which is Markdown, as a tree of harmless elements: it holds no link, no image and no HTML, whatever the answer says. */

import MarkdownIt from "markdown-it";
import type { UnsupportedNumber } from "../protocol";
import { escapeMarkdown, fenced, inlineCode } from "./inert";
import { middleCut } from "./text";
import { pieces, signed } from "./unsupported";

export const TAGS = [
  ...["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "hr"],
  ...["table", "thead", "tbody", "tr", "th", "td", "strong", "em", "s", "code", "br", "span"],
  // A number that stands in no output; nothing that a model writes becomes one.
  "mark",
] as const;

/** Text, or an element that has a tag and nothing else. */
export type AnswerNode = string | AnswerElement;

export interface AnswerElement {
  tag: (typeof TAGS)[number];
  children: AnswerNode[];
}

const markdown = new MarkdownIt({ html: false, linkify: false }).disable("image");
type Token = ReturnType<typeof markdown.parse>[number];
const KNOWN = new Set<string>(TAGS);

/**
 * The tree of an answer, in its middle cut to `length`. Of a link the text stays, with the address after it, as text; the numbers that are
 * given are marked.
 */
export function parseAnswer(
  text: string,
  numbers: readonly UnsupportedNumber[] = [],
  length = Number.POSITIVE_INFINITY,
): AnswerNode[] {
  return marked(treeOf(markdown.parse(middleCut(signed(text, numbers), length), {})));
}

/** The tree as Markdown in which only its own marks have a meaning. */
export function answerMarkdown(text: string, numbers: readonly UnsupportedNumber[] = [], length?: number): string {
  return blocks(parseAnswer(text, numbers, length));
}

/** The nodes with elements in place of the signs around numbers. */
function marked(nodes: readonly AnswerNode[]): AnswerNode[] {
  return nodes.flatMap((node): AnswerNode[] => {
    if (typeof node !== "string") return [{ tag: node.tag, children: marked(node.children) }];
    return pieces(node)
      .map((piece, index): AnswerNode => (index % 2 === 0 ? piece : { tag: "mark", children: [piece] }))
      .filter((piece) => piece !== "");
  });
}

function treeOf(tokens: Token[]): AnswerNode[] {
  const root: AnswerNode[] = [];
  const open: AnswerNode[][] = [root];
  const addresses: string[] = [];
  const add = (...nodes: AnswerNode[]): void => void open.at(-1)?.push(...nodes);
  for (const token of tokens) {
    if (token.type === "link_open") addresses.push(String(token.attrGet("href") ?? ""));
    else if (token.type === "link_close") add(...addressAfter(addresses.pop() ?? "", open.at(-1)?.at(-1)));
    else if (token.nesting === 1) {
      const element: AnswerElement = { tag: known(token.tag), children: [] };
      add(element);
      open.push(element.children);
    } else if (token.nesting === -1) open.pop();
    else add(...single(token));
  }
  return root;
}

function single(token: Token): AnswerNode[] {
  switch (token.type) {
    case "inline":
      return treeOf(token.children ?? []);
    case "fence":
    case "code_block":
      return [{ tag: "pre", children: [token.content.replace(/\n$/, "")] }];
    case "code_inline":
      return [{ tag: "code", children: [token.content] }];
    case "hr":
    case "hardbreak":
      return [{ tag: token.type === "hr" ? "hr" : "br", children: [] }];
    case "softbreak":
      return ["\n"];
    default:
      return token.content ? [token.content] : [];
  }
}

function known(tag: string): AnswerElement["tag"] {
  return KNOWN.has(tag) ? (tag as AnswerElement["tag"]) : "span";
}

/** Where a link would lead, unless its text says so already. */
function addressAfter(address: string, before: AnswerNode | undefined): AnswerNode[] {
  return [address, decoded(address)].some((each) => each === before) ? [] : [` (${decoded(address)})`];
}

function decoded(address: string): string {
  try {
    return decodeURI(address);
  } catch {
    return address;
  }
}

function blocks(nodes: readonly AnswerNode[]): string {
  const parts: string[] = [];
  let line = "";
  const end = (): void => {
    if (line.trim()) parts.push(line.trim());
    line = "";
  };
  for (const node of nodes) {
    if (isBlock(node)) {
      end();
      parts.push(block(node));
    } else line += inline(node);
  }
  end();
  return parts.join("\n\n");
}

function isBlock(node: AnswerNode): node is AnswerElement {
  return typeof node !== "string" && !["strong", "em", "s", "code", "br", "span", "mark"].includes(node.tag);
}

function block({ tag, children }: AnswerElement): string {
  switch (tag) {
    case "pre":
      return fenced(plain(children));
    case "hr":
      return "---";
    case "ul":
    case "ol":
      return items(children, tag === "ul" ? () => "- " : (index) => `${index + 1}. `);
    case "blockquote":
      return indented(blocks(children), "> ", "> ");
    case "table":
      return table(children);
    case "p":
      return blocks(children);
    default:
      return tag.startsWith("h") ? `${"#".repeat(Number(tag.slice(1)))} ${oneLineOf(children)}` : blocks(children);
  }
}

function items(children: readonly AnswerNode[], mark: (index: number) => string): string {
  return children
    .filter((node) => typeof node !== "string")
    .map((node, index) => indented(blocks(node.children), mark(index), " ".repeat(mark(index).length)))
    .join("\n");
}

function indented(text: string, first: string, rest: string): string {
  return first + text.replaceAll("\n", `\n${rest}`);
}

function table(children: readonly AnswerNode[]): string {
  const rows = elements(children).flatMap((part) => elements(part.children));
  const lines = rows.map(
    (row) =>
      `| ${elements(row.children)
        .map((cell) => oneLineOf(cell.children))
        .join(" | ")} |`,
  );
  const width = elements(rows[0]?.children ?? []).length;
  return [lines[0] ?? "", `|${" --- |".repeat(width)}`, ...lines.slice(1)].join("\n");
}

function elements(nodes: readonly AnswerNode[]): AnswerElement[] {
  return nodes.filter((node) => typeof node !== "string");
}

/** Inline content for a place of one line, such as a heading or a cell of a table, which code could end, too. */
function oneLineOf(nodes: readonly AnswerNode[]): string {
  return nodes
    .map((node) => (typeof node !== "string" && node.tag === "code" ? escapeMarkdown(plain([node])) : inline(node)))
    .join("")
    .replace(/\\?\n/g, " ");
}

function inline(node: AnswerNode): string {
  if (typeof node === "string") return escapeMarkdown(node);
  switch (node.tag) {
    case "code":
      return inlineCode(plain(node.children));
    case "br":
      return "\\\n";
    case "strong":
      return `**${node.children.map(inline).join("")}**`;
    case "em":
      return `*${node.children.map(inline).join("")}*`;
    case "mark":
      return `${node.children.map(inline).join("")}⚠`;
    case "s":
      return `~~${node.children.map(inline).join("")}~~`;
    default:
      return node.children.map(inline).join("");
  }
}

function plain(nodes: readonly AnswerNode[]): string {
  return nodes.map((node) => (typeof node === "string" ? node : plain(node.children))).join("");
}
