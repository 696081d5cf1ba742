// node screenshot.mjs EXTENSION.vsix ANALYSTD PICTURE.png [QUESTION]: the picture of the README, of a real editor with the real answer of the embedded model.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { clearAway, startEditor } from "./editor.mjs";
import { Workbench } from "./workbench.mjs";

const [vsix, analystd, picture, question = "Which symbol has the highest total volume in trades.csv?"] =
  process.argv.slice(2);
const ANSWER_MS = 900_000;
const SYMBOLS = ["BTC", "ETH", "SOL", "XRP"];

const CODE = `# %% Load
import pandas as pd
trades = pd.read_csv("trades.csv", parse_dates=["time"])
print(f"{len(trades)} trades, {trades['symbol'].nunique()} symbols")

# %% Turnover
turnover = trades["price"] * trades["volume"]
print(f"{turnover.sum():,.2f}")
`;

/** Trades of one day, the same each time. */
function trades() {
  const lines = ["time,symbol,price,volume"];
  let state = 1;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let minute = 0; minute < 1440; minute++) {
    const which = Math.floor(next() * SYMBOLS.length);
    const price = [42000, 2300, 98, 0.6][which] * (0.99 + 0.02 * next());
    const at = new Date(Date.UTC(2024, 0, 1, 0, minute)).toISOString().slice(0, 19).replace("T", " ");
    lines.push(`${at},${SYMBOLS[which]},${price.toFixed(2)},${(1 + 9 * next()).toFixed(3)}`);
  }
  return lines.join("\n") + "\n";
}

async function main() {
  const state = fs.mkdtempSync(path.join(os.tmpdir(), "shot-"));
  const folder = path.join(state, "project");
  fs.mkdirSync(path.join(folder, "workspace"), { recursive: true });
  fs.writeFileSync(path.join(folder, "workspace", "trades.csv"), trades());
  fs.writeFileSync(path.join(folder, "analysis.py"), CODE);
  // The cache stays the user's: it has the model.
  const env = {
    ...process.env,
    XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"),
    HOME: state,
    XDG_STATE_HOME: path.join(state, "state"),
    XDG_CONFIG_HOME: path.join(state, "config"),
  };
  const closers = [() => spawnSync(analystd, ["stop", "--now"], { cwd: folder, env, timeout: 30_000 })];
  try {
    const editor = await startEditor(path.resolve(vsix), state, { "analystd.command": path.resolve(analystd) }, env);
    closers.unshift(editor.stop);
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    });
    closers.unshift(() => browser.close());
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const bench = new Workbench(page);
    await bench.open(editor.url, folder);
    await bench.openFile("analysis.py");
    for (const [line, result] of [
      [3, /→ 1440 trades/],
      [8, /→ \d+,/],
    ]) {
      await bench.goToLine(line);
      await bench.command("analystd: Run Selection or Cell");
      await bench.decoration(result, 120_000);
    }
    await bench.goToLine(9);
    await bench.command("analystd: Ask…");
    await bench.answerBox(question);
    const view = await bench.webview("body.answers article.agent.done", ANSWER_MS);
    console.log(await view.locator("article.agent").innerText());
    // Room for the last program, its output and the answer.
    await page.keyboard.press("Control+B");
    const panel = await page.locator(".part.panel").boundingBox();
    await page.mouse.move(600, panel.y - 4);
    await page.mouse.down();
    await page.mouse.move(600, 330, { steps: 5 });
    await page.mouse.up();
    await view.locator("article.agent details summary").last().click();
    await view.locator("article.agent .answer").scrollIntoViewIfNeeded();
    await page.mouse.move(600, 12);
    await page.screenshot({ path: picture });
  } finally {
    for (const close of closers) await close();
    await clearAway(state);
    fs.rmSync(state, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

await main();
