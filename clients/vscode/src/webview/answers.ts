/** The script of the Answers view: draws entries, and sends what is typed below them. */

import type { FromAnswers, ToAnswers } from "../messages";
import { parseAnswer } from "../pure/answer";
import type { Entry, TrailStep } from "../pure/trail";
import { unsupportedNote, WHY } from "../pure/unsupported";
import { api, element } from "./api";
import { fill } from "./build";

const list = element("main");
const hint = element(
  "p",
  "hint",
  "Ask a question about the data in this workspace. What was looked at and run for it appears here.",
);
const form = element("form");
const topic = element("div", "topic");
const input = element("textarea");
const drawn = new Map<number, HTMLElement>();
const openSteps = new Set<string>();

function start(): void {
  input.rows = 1;
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  input.addEventListener("input", fit);
  form.append(topic, input);
  document.body.append(list, form);
  window.addEventListener("message", (event: MessageEvent<ToAnswers>) => receive(event.data));
  showTopic(null);
  list.append(hint);
  send({ type: "ready" });
}

function receive(message: ToAnswers): void {
  switch (message.type) {
    case "all":
      list.replaceChildren();
      drawn.clear();
      if (message.entries.length === 0) list.append(hint);
      message.entries.forEach(draw);
      showTopic(message.conversation);
      scrollToEnd();
      break;
    case "entry":
      if (drawn.has(message.entry.id)) keepAtEnd(() => draw(message.entry));
      else {
        draw(message.entry);
        scrollToEnd();
      }
      break;
    case "conversation":
      showTopic(message.conversation);
      break;
    case "reveal":
      drawn.get(message.id)?.scrollIntoView({ block: "nearest" });
      break;
  }
}

function draw(entry: Entry): void {
  hint.remove();
  const article = element("article", `${entry.kind} ${entry.state}`);
  const header = element("header");
  header.append(element("span", "title", entry.title), element("span", "about", entry.about));
  if (entry.state === "waiting" || entry.state === "running") {
    const stop = element("button", "stop", "Stop");
    stop.addEventListener("click", () => send({ type: "cancel", id: entry.id }));
    header.append(stop);
  }
  article.append(header, ...entry.steps.map((step, index) => drawStep(step, `${entry.id}.${index}`)));
  if (entry.text) article.append(entry.kind === "agent" ? drawAnswer(entry) : element("pre", "output", entry.text));
  for (const source of entry.images) {
    const image = element("img");
    image.src = source;
    article.append(image);
  }
  const doubts = [unsupportedNote(entry.unsupported), ...entry.warnings.map((warning) => `⚠ ${warning}`)];
  for (const doubt of doubts.filter(Boolean)) article.append(element("footer", "doubt", doubt));
  const note = entry.note || (entry.state === "running" && !entry.text ? "thinking …" : "");
  if (note) article.append(element("footer", "", note));
  const before = drawn.get(entry.id);
  drawn.set(entry.id, article);
  if (before) before.replaceWith(article);
  else list.append(article);
}

function drawStep(step: TrailStep, key: string): HTMLElement {
  const details = element("details", step.state);
  details.open = openSteps.has(key);
  details.addEventListener("toggle", () => (details.open ? openSteps.add(key) : openSteps.delete(key)));
  const summary = element("summary");
  summary.append(element("code", "", step.title), element("span", "time", step.time));
  details.append(summary);
  if (step.code !== null) details.append(element("pre", "code", step.code));
  if (step.output) details.append(element("pre", "output", step.output));
  return details;
}

function drawAnswer(entry: Entry): HTMLElement {
  const div = element("div", "answer");
  fill(div, parseAnswer(entry.text, entry.unsupported));
  for (const mark of div.querySelectorAll("mark")) mark.title = WHY;
  return div;
}

function submit(): void {
  const prompt = input.value.trim();
  if (!prompt) return;
  input.value = "";
  fit();
  send({ type: "ask", prompt });
}

function showTopic(conversation: string | null): void {
  topic.replaceChildren();
  topic.hidden = conversation === null;
  input.placeholder = conversation === null ? "Ask…" : "Ask a follow-up…";
  if (conversation === null) return;
  const fresh = element("button", "", "New conversation");
  fresh.type = "button";
  fresh.addEventListener("click", () => send({ type: "newConversation" }));
  topic.append(element("span", "", `Continues “${conversation}”`), fresh);
}

/** Make the input as high as what is typed. */
function fit(): void {
  input.rows = Math.min(8, input.value.split("\n").length);
}

function keepAtEnd(change: () => void): void {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  change();
  if (isAtEnd) scrollToEnd();
}

function scrollToEnd(): void {
  list.scrollTop = list.scrollHeight;
}

function send(message: FromAnswers): void {
  api.postMessage(message);
}

start();
