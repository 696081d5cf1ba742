// What a person does with the extension in one sitting.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { until } from "./workbench.mjs";

export const ROWS = 1000;
const NAME = "btc_1m_bars.csv";
const QUESTION = `How many rows does ${NAME} have?`;
export const ANSWER = `The file has **${ROWS} rows** and 6 columns, as \`data_view\` counted them.`;

const CODE = `# %% Load
import csv
with open("${NAME}") as file:
    rows = list(csv.DictReader(file))
print(f"Loaded {len(rows)} bars")

# %% Mean
sum(float(row["close"]) for row in rows) / len(rows)

# %% Wrong
ratio = rows[0]["close"] / 0

# %% Picture
from IPython.display import Image, display
display(Image(filename="line.png"))

# %% Slow
import time
for step in range(600):
    print("step", step)
    time.sleep(0.1)
`;

/** The folder that is opened: bars, a script, and replies for the model that plays them. */
export function makeFolder(folder) {
  const workspace = path.join(folder, "workspace");
  fs.mkdirSync(workspace, { recursive: true });
  const bars = ["timestamp,open,high,low,close,volume"];
  for (let minute = 0; minute < ROWS; minute++) {
    const at = new Date(Date.UTC(2024, 0, 1, 0, minute)).toISOString().slice(0, 19).replace("T", " ");
    bars.push(`${at},${minute}.00,${minute}.50,${minute}.00,${minute}.25,0${minute}`);
  }
  fs.writeFileSync(path.join(workspace, NAME), bars.join("\n") + "\n");
  fs.writeFileSync(path.join(workspace, "line.png"), picture(320, 160));
  fs.writeFileSync(path.join(folder, "analysis.py"), CODE);
}

/** The model's replies to one conversation, one JSON object a line. */
export function modelScript(furtherReplies = []) {
  const call = `<tool name="data_view">\n${JSON.stringify({ path: NAME, operation: "shape" })}\n</tool>`;
  const replies = [
    { say: call },
    { say: ANSWER, expect: "Shape: 1000 rows", delay: 0.03 },
    { say: "By month there is only one: January.", expect: "And by month?" },
    { say: "It divides text by a number.", expect: 'rows[0]["close"] / 0' },
    ...furtherReplies,
  ];
  return replies.map((reply) => JSON.stringify(reply)).join("\n") + "\n";
}

/** A PNG of a rising line, blue on white. */
function picture(width, height) {
  const rows = Array.from({ length: height }, (_, y) => {
    const row = Buffer.alloc(1 + 3 * width, 0xff);
    row[0] = 0;
    for (let x = 0; x < width; x++) {
      if (Math.abs(height - 10 - (x * (height - 20)) / width - y) < 2) row.set([0x1f, 0x77, 0xb4], 1 + 3 * x);
    }
    return row;
  });
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(zlib.crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = zlib.deflateSync(Buffer.concat(rows));
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

export const steps = {
  async "the status bar says that it is there"(bench) {
    await bench.statusItem.locator(".codicon-pulse").waitFor();
  },

  async "a cell runs, and what it printed stands after its last line"(bench) {
    await bench.openFile("analysis.py");
    await bench.goToLine(3);
    await bench.page.keyboard.press("Control+Alt+Enter");
    await bench.decoration(new RegExp(`→ Loaded ${ROWS} bars`), 60_000);
    await bench.shot("cell");
  },

  async "the next cell has its variables, and shows its value"(bench) {
    await bench.goToLine(8);
    await bench.command("analystd: Run Selection or Cell");
    await bench.decoration(/→ 499\.75/);
  },

  async "an error names its line in the file"(bench) {
    await bench.goToLine(11);
    await bench.command("analystd: Run Selection or Cell");
    await bench.decoration(/✗ TypeError in line 11: unsupported operand/);
    await bench.shot("error");
  },

  async "a picture is in the hover"(bench) {
    await bench.goToLine(15);
    await bench.command("analystd: Run Selection or Cell");
    await bench.decoration(/→ 1 image/);
    await bench.hoverDecoration(/1 image/);
    const image = bench.page.locator(".monaco-hover img");
    await image.waitFor();
    const width = () => image.evaluate((element) => element.naturalWidth);
    await until(
      async () => (await width()) === 320,
      5000,
      async () => `the picture is ${await width()} wide`,
    );
    await bench.shot("hover");
    await bench.page.keyboard.press("Escape");
  },

  async "the lens over a cell runs it, and Stop ends it"(bench) {
    await bench.page.locator(".codelens-decoration a", { hasText: "Run cell" }).nth(4).click();
    await bench.decoration(/… step \d+/);
    const cancel = bench.page.locator(".notifications-toasts .monaco-button", { hasText: "Cancel" });
    await cancel.waitFor();
    await bench.shot("streaming");
    await cancel.click();
    await bench.decoration(/… interrupted/);
  },

  async "editing the line takes its result away, and others stay"(bench) {
    await bench.goToLine(8);
    await bench.page.keyboard.press("End");
    await bench.page.keyboard.type(" ");
    await until(
      async () => !(await bench.decorations()).some((text) => /499\.75/.test(text)),
      5000,
      () => "the result is still there",
    );
    await bench.decoration(/Loaded/);
    await bench.page.keyboard.press("Control+Z");
  },

  async "a question is answered in the line and in the view, with the tool call"(bench) {
    await bench.goToLine(6);
    await bench.command("analystd: Ask…");
    await bench.answerBox(QUESTION);
    await bench.decoration(new RegExp(`→ The file has ${ROWS} rows and 6 columns`), 60_000);
    const view = await bench.webview("body.answers article.agent.done");
    assert.match(await view.locator("article.agent .title").innerText(), /How many rows/);
    assert.equal(await view.locator("article.agent .answer strong").innerText(), `${ROWS} rows`);
    await view.locator("article.agent details summary").click();
    assert.match(
      await view.locator("article.agent details pre").innerText(),
      new RegExp(`Shape: ${ROWS} rows × 6 columns`),
    );
    await bench.shot("answer");
  },

  async "a follow-up continues the conversation"(bench) {
    const view = await bench.webview("body.answers textarea");
    assert.match(await view.locator(".topic").innerText(), /How many rows/);
    await view.locator("textarea").fill("And by month?");
    await view.locator("textarea").press("Enter");
    await view.locator("article.agent.done", { hasText: "January" }).waitFor();
    await bench.shot("follow-up");
  },

  async "the selected text goes along with a question"(bench) {
    await bench.goToLine(11);
    await bench.page.keyboard.press("Shift+End");
    await bench.command("analystd: Ask…");
    await bench.answerBox("What is wrong here?");
    await bench.decoration(/→ It divides text by a number/);
    await bench.shot("selection");
  },

  async "a data file opens as a table and can be paged"(bench) {
    await bench.openFile(`workspace/${NAME}`);
    await bench.command("analystd: View Data");
    const table = await bench.webview("body.table tbody tr");
    assert.deepEqual(await table.locator("thead th span").allInnerTexts(), [
      "timestamp",
      "open",
      "high",
      "low",
      "close",
      "volume",
    ]);
    assert.deepEqual(await table.locator("tbody tr").first().locator("td").allInnerTexts(), [
      "2024-01-01 00:00:00",
      "0.00",
      "0.50",
      "0.00",
      "0.25",
      "00",
    ]);
    await table.locator(".range", { hasText: "of 1,000" }).waitFor();
    await bench.shot("table");
    await table.locator("button", { hasText: "»" }).click();
    await table.locator("tbody th", { hasText: "1,000" }).waitFor();
    const last = table.locator("tbody tr").last();
    assert.equal(await last.locator("td").nth(4).innerText(), "999.25");
    await table.locator("footer input.row").fill("500");
    await table.locator("footer input.row").press("Enter");
    await table.locator("tbody tr").first().locator("th", { hasText: "500" }).waitFor();
    await bench.shot("table-row-500");
  },

  async "a click on a name sorts, and an arrow shows it"(bench) {
    const table = await bench.webview("body.table tbody tr");
    const close = table.locator("thead .sort", { hasText: "close" });
    const firstRow = table.locator("tbody tr").first();
    await close.click();
    await table.locator('th[aria-sort="ascending"] i', { hasText: "▲" }).waitFor();
    await firstRow.locator("td", { hasText: "0.25" }).waitFor();
    await close.click();
    await table.locator('th[aria-sort="descending"] i', { hasText: "▼" }).waitFor();
    await firstRow.locator("td", { hasText: "999.25" }).waitFor();
    await bench.shot("table-sorted");
  },

  async "what is typed over a column filters, and pages keep the filter and the order"(bench) {
    const table = await bench.webview("body.table tbody tr");
    const box = table.getByLabel("Filter close");
    await box.fill("> 700 & <= 999");
    await box.press("Enter");
    await table.locator(".range", { hasText: "1–200 of 299 matching" }).waitFor();
    assert.equal(await table.locator("tbody tr").first().locator("td").nth(4).innerText(), "998.25");
    await bench.shot("table-filtered");
    await table.locator("button", { hasText: "»" }).click();
    await table.locator(".range", { hasText: "201–299 of 299 matching" }).waitFor();
    assert.equal(await table.locator("tbody tr").last().locator("td").nth(4).innerText(), "700.25");
    const time = table.getByLabel("Filter timestamp");
    // Without Enter: what stays typed for a moment counts.
    await time.pressSequentially("12:4");
    await table.locator(".range", { hasText: "of 10 matching" }).waitFor();
    assert.equal(await time.inputValue(), "12:4");
  },

  async "what is wrong with a filter is told in place, and the rows stay"(bench) {
    const table = await bench.webview("body.table tbody tr");
    const box = table.getByLabel("Filter open");
    await box.fill(">");
    await box.press("Enter");
    await table.locator('input[aria-invalid="true"]').waitFor();
    assert.match(await box.getAttribute("title"), /needs a value/);
    assert.equal(await table.locator("tbody tr").count(), 10);
    await box.press("Escape");
    await table.locator('input[aria-invalid="true"]').waitFor({ state: "detached" });
    await table.locator("button", { hasText: "Show all" }).click();
    await table.locator(".range", { hasText: "1–200 of 1,000" }).waitFor();
    assert.equal(await table.getByLabel("Filter close").inputValue(), "");
  },

  async "a column's profile opens over the table, and Escape closes it"(bench) {
    const table = await bench.webview("body.table tbody tr");
    await table.getByLabel("What volume holds").click();
    const box = table.getByRole("dialog");
    await box.locator("dt", { hasText: "distinct" }).waitFor();
    assert.match(await box.innerText(), /values\s+1,000\s+missing\s+none\s+distinct\s+1,000/);
    await bench.shot("profile-text");
    await bench.page.keyboard.press("Escape");
    await box.waitFor({ state: "hidden" });
    await table.getByLabel("What close holds").click();
    await box.locator("svg.histogram .bar").first().waitFor();
    assert.match(await box.innerText(), /min\s+0\.25\s+max\s+999\.25\s+mean\s+499\.75/);
    await bench.shot("profile-number");
    await bench.page.keyboard.press("Escape");
    await box.waitFor({ state: "hidden" });
  },

  async "another delimiter can be chosen"(bench) {
    const table = await bench.webview("body.table tbody tr");
    await table.getByLabel("What separates the cells").selectOption("|");
    const heads = table.locator("thead th span");
    await until(
      async () => (await heads.count()) === 1,
      5000,
      async () => `there are ${await heads.count()} columns`,
    );
    assert.equal(await heads.innerText(), "timestamp,open,high,low,close,volume");
    await bench.shot("delimiter");
    await table.getByLabel("What separates the cells").selectOption("");
    await table.locator("thead .sort", { hasText: "close" }).first().waitFor();
  },

  async "the status item tells what there is, and offers what can be done"(bench) {
    await bench.statusItem.click();
    await bench.page.locator(".quick-input-list .monaco-list-row", { hasText: "Reset Session" }).waitFor();
    assert.match(
      await bench.page.locator(".quick-input-titlebar").innerText(),
      /analystd \d+\.\d+\.\d+: .*model\.jsonl, sandbox/,
    );
    await bench.shot("status");
    await bench.page.keyboard.press("Escape");
  },

  async "a program that is not there is told, and a corrected setting connects again"(bench, folder) {
    const settings = path.join(folder, ".vscode", "settings.json");
    fs.mkdirSync(path.dirname(settings));
    fs.writeFileSync(settings, JSON.stringify({ "analystd.command": "no-such-program" }));
    const toast = bench.page.locator(".notifications-toasts", { hasText: "there is no program “no-such-program”" });
    await toast.waitFor();
    await bench.shot("not-found");
    fs.rmSync(settings);
    await bench.statusItem.locator(".codicon-pulse").waitFor();
  },
};
