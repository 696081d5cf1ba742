// What a person does with the extension in one sitting.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
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
  fs.writeFileSync(path.join(folder, "analysis.py"), CODE);
}

/** The model's replies, one JSON object a line. */
export function modelScript() {
  const call = `<tool name="data_view">\n${JSON.stringify({ path: NAME, operation: "shape" })}\n</tool>`;
  const replies = [call, ANSWER, "By month there is only one: January."];
  return replies.map((say) => JSON.stringify({ say })).join("\n") + "\n";
}

export const steps = {
  async "the status bar says that it is there"(bench) {
    const status = await until(
      async () => /analystd/.test(await bench.status()) && bench.status(),
      30_000,
      () => "no status item",
    );
    assert.match(status, /analystd/);
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
    await bench.decoration(/✗ TypeError: unsupported operand.*\(line 11\)/);
    await bench.shot("error");
  },

  async "the lens over a cell runs it, and Stop ends it"(bench) {
    await bench.page.locator(".codelens-decoration a", { hasText: "Run cell" }).nth(3).click();
    await bench.decoration(/… step \d+/);
    await bench.shot("streaming");
    await bench.page.locator(".notifications-toasts .monaco-button", { hasText: "Cancel" }).click();
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

  async "a data file opens as a table and can be paged"(bench) {
    await bench.openFile(NAME);
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
    await table.locator("input").fill("500");
    await table.locator("input").press("Enter");
    await table.locator("tbody tr").first().locator("th", { hasText: "500" }).waitFor();
    await bench.shot("table-row-500");
  },
};
