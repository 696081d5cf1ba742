// Data, programs and models that would have the editor do something; a server sees whether it fetches anything.

import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { until } from "./workbench.mjs";

const COMMAND = "command:workbench.action.terminal.new";

/** The beginning of a picture, so that what follows it is looked at. */
const PNG_HEADER = "iVBORw0KGgoAAAANSUhEUgAAAUAAAACgCAIAAAC=";

/** Something at `https:` on this machine: each connection to it is counted. */
export async function startCounter() {
  const counter = { connections: 0 };
  const server = net.createServer((socket) => {
    counter.connections += 1;
    socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  counter.url = `https://127.0.0.1:${server.address().port}`;
  counter.stop = () => server.close();
  return counter;
}

/** Markdown that an editor would make links and images of. */
function bait(url) {
  return `[Continue](${COMMAND}) [x](${url}/link) ![x](${url}/image) <img src="${url}/tag"> <${url}/auto> ${url}/bare`;
}

/** Put the hostile script into the folder. */
export function makeHostile(folder, url) {
  const code = `# %% Prints
import time
bait = ${JSON.stringify(bait(url))}
print(bait, flush=True)
time.sleep(4)

# %% Raises
raise ValueError(bait)

# %% Displays
leak = "${PNG_HEADER})![x](${url}/leak"
display({"image/png": leak, "text/plain": "shown"}, raw=True)

# %% Is asked about
1 + 2
`;
  fs.writeFileSync(path.join(folder, "hostile.py"), code);
}

/** What the model answers. */
export function hostileReply(url) {
  return { say: `The **sum** is 3. ${bait(url)}`, expect: "Is it safe?" };
}

async function assertInert(place, where) {
  assert.equal(await place.locator("a[href]:not([href='']), a[data-href], a:not(.action-label)").count(), 0, where);
  assert.equal(await place.locator("img").count(), 0, where);
}

export function hostileSteps(counter) {
  return {
    async "what a program prints is no link in the progress notification"(bench) {
      await bench.openFile("hostile.py");
      await bench.goToLine(3);
      await bench.command("analystd: Run Selection or Cell");
      const toast = bench.page.locator(".notifications-toasts .notification-toast", { hasText: "Continue" });
      await toast.waitFor();
      await assertInert(toast.locator(".notification-list-item-message"), "the progress notification");
      await bench.shot("hostile-progress");
      await toast.waitFor({ state: "detached" });
    },

    async "nor in the hover over its result, which fetches nothing"(bench) {
      await bench.decoration(/→ \[Continue\]/);
      await hover(bench, /→ .Continue/);
    },

    async "nor is what an exception says"(bench) {
      await bench.goToLine(8);
      await bench.command("analystd: Run Selection or Cell");
      await bench.decoration(/✗ ValueError in line 8: \[Continue\]/);
      await hover(bench, /✗ ValueError/);
    },

    async "an image that is none is text"(bench) {
      await bench.goToLine(12);
      await bench.command("analystd: Run Selection or Cell");
      await bench.decoration(/→ 1 display/);
      await hover(bench, /→ 1 display/, "shown");
    },

    async "an answer holds no link and no image, in the hover and in the view"(bench) {
      await bench.goToLine(15);
      await bench.command("analystd: Ask…");
      await bench.answerBox("Is it safe?");
      await bench.decoration(/→ The sum is 3\./, 60_000);
      await hover(bench, /→ The sum is 3/, "The sum is 3.");
      const view = await bench.webview("body.answers article.agent.done");
      const answer = view.locator("article.agent .answer", { hasText: "The sum is 3." });
      assert.equal(await answer.locator("strong").innerText(), "sum");
      assert.equal(await view.locator("a").count(), 0);
      assert.equal(await answer.locator("img").count(), 0);
      await bench.shot("hostile-answer");
    },

    async "nothing of what the daemon says of settings is a link"(bench, folder) {
      const settings = path.join(folder, ".vscode", "settings.json");
      fs.mkdirSync(path.dirname(settings), { recursive: true });
      fs.writeFileSync(settings, JSON.stringify({ "analystd.settings": { AGENT_MAX_STEPS: bait(counter.url) } }));
      const toast = bench.page.locator(".notifications-toasts .notification-toast", { hasText: "AGENT_MAX_STEPS" });
      await toast.waitFor();
      assert.match(await toast.innerText(), /Continue/);
      await assertInert(toast.locator(".notification-list-item-message"), "the notification");
      await bench.shot("hostile-setting");
      fs.rmSync(settings);
      await bench.statusItem.locator(".codicon-pulse").waitFor();
      assert.equal(counter.connections, 0, "the editor fetched something");
    },
  };

  async function hover(bench, pattern, text = "Continue") {
    await bench.hoverDecoration(pattern);
    const shown = bench.page.locator(".monaco-hover", { hasText: text }).first();
    await shown.waitFor();
    await assertInert(shown, `the hover over ${pattern}`);
    await bench.shot("hostile-hover");
    // What would be fetched is fetched at once; a moment more makes sure.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(counter.connections, 0, "hovering fetched something");
    await bench.page.keyboard.press("Escape");
    await until(
      async () => (await bench.page.locator(".monaco-hover:visible").count()) === 0,
      5000,
      () => "the hover stays",
    );
  }
}
