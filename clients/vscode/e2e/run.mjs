// node run.mjs EXTENSION.vsix ANALYSTD [SCREENSHOTS]: the scenario with a real editor, a real browser and the program ANALYSTD.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { clearAway, startEditor } from "./editor.mjs";
import { hostileReply, hostileSteps, makeHostile, startCounter } from "./hostile.mjs";
import { makeFolder, modelScript, steps } from "./scenario.mjs";
import { Workbench } from "./workbench.mjs";

const [vsix, analystd, screenshots] = process.argv.slice(2);
const LIMIT_MS = 360_000;
const browserProgram = process.env.CHROMIUM ?? "/usr/bin/chromium";

async function main() {
  const state = fs.mkdtempSync(path.join(os.tmpdir(), "vse-"));
  if (screenshots) fs.mkdirSync(screenshots, { recursive: true });
  const folder = path.join(state, "project");
  const counter = await startCounter();
  makeFolder(folder);
  makeHostile(folder, counter.url);
  fs.writeFileSync(path.join(state, "model.jsonl"), modelScript([hostileReply(counter.url)]));
  const env = {
    ...process.env,
    HOME: state,
    XDG_STATE_HOME: path.join(state, "state"),
    XDG_CONFIG_HOME: path.join(state, "config"),
    XDG_CACHE_HOME: path.join(state, "cache"),
    AGENT_MODEL_PATH: path.join(state, "model.jsonl"),
  };
  const closers = [
    counter.stop,
    () => spawnSync(analystd, ["stop"], { cwd: folder, env, encoding: "utf8", timeout: 30_000 }),
  ];
  let failed = true;
  try {
    const editor = await startEditor(path.resolve(vsix), state, { "analystd.command": path.resolve(analystd) }, env);
    closers.unshift(editor.stop);
    const browser = await chromium.launch({
      executablePath: browserProgram,
      // A server with any certificate would do to tell that something was fetched.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--ignore-certificate-errors",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      ],
    });
    closers.unshift(() => browser.close());
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    const bench = new Workbench(page, screenshots);
    const all = { ...steps, ...hostileSteps(counter) };
    failed = !(await Promise.race([play(bench, editor.url, folder, all), outOfTime()]));
  } finally {
    for (const close of closers) await close();
    const left = await clearAway(state);
    for (const command of left) console.log(`not ok - left running: ${command}`);
    failed ||= left.length > 0;
    if (failed) console.log(`state kept in ${state}`);
    else fs.rmSync(state, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  process.exitCode = failed ? 1 : 0;
}

async function outOfTime() {
  await sleep(LIMIT_MS, undefined, { ref: false });
  console.log(`not ok - all this took more than ${LIMIT_MS / 1000} s`);
  return false;
}

/** Do all steps; gives whether all went well. The first that fails ends the play, for each builds on those before. */
async function play(bench, url, folder, steps) {
  await bench.open(url, folder);
  for (const [name, step] of Object.entries(steps)) {
    const started = Date.now();
    try {
      await step(bench, folder);
    } catch (error) {
      console.log(`not ok - ${name}\n${error.stack}`);
      await bench.shot("failed").catch(() => undefined);
      return false;
    }
    console.log(`ok - ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  }
  return true;
}

await main();
