// What a person does in the workbench, and what they see.

import path from "node:path";

const DEFAULT_TIMEOUT_MS = 30_000;

export class Workbench {
  constructor(page, screenshots) {
    this.page = page;
    this.screenshots = screenshots;
    this.number = 0;
  }

  async open(url, folder) {
    this.folder = folder;
    await this.page.goto(`${url}/?folder=${encodeURIComponent(folder)}`);
    await this.page.locator(".monaco-workbench .statusbar").waitFor({ timeout: 60_000 });
  }

  /** Run a command by its title. */
  async command(title) {
    await this.page.keyboard.press("F1");
    const input = this.page.locator(".quick-input-widget .quick-input-box input");
    await input.waitFor();
    await input.fill(`>${title}`);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().waitFor();
    await this.page.keyboard.press("Enter");
  }

  /** Open a file of the folder. */
  async openFile(file) {
    const name = path.basename(file);
    await this.page.keyboard.press("Control+P");
    const input = this.page.locator(".quick-input-widget .quick-input-box input");
    await input.waitFor();
    // A whole path is found without a search, which not every build of the editor has.
    await input.fill(path.join(this.folder, file));
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().waitFor();
    await this.page.keyboard.press("Enter");
    await this.page.locator(`.tab.active[data-resource-name="${name}"]`).waitFor();
  }

  /** Put the cursor into a line (from 1) of the active editor. */
  async goToLine(line) {
    await this.page.locator(".editor-group-container.active .monaco-editor .view-lines").first().click();
    await this.page.keyboard.press("Control+G");
    const input = this.page.locator(".quick-input-widget .quick-input-box input");
    await input.waitFor();
    await input.fill(`:${line}`);
    await this.page.keyboard.press("Enter");
    await input.waitFor({ state: "hidden" });
  }

  /** Type into the input box that is open, and accept. */
  async answerBox(text) {
    const input = this.page.locator(".quick-input-widget .quick-input-box input");
    await input.waitFor();
    await input.fill(text);
    await this.shot("box");
    await this.page.keyboard.press("Enter");
  }

  /** The decoration texts in the editor. */
  async decorations() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll(".monaco-editor .view-line span")]
        .map((span) => getComputedStyle(span, "::after").content)
        .filter((content) => content && content !== "none" && content !== "normal")
        .map((content) => content.replace(/^"|"$/g, "").replaceAll("\u00a0", " ")),
    );
  }

  /** Wait until some decoration matches; gives its text. */
  async decoration(pattern, timeout = DEFAULT_TIMEOUT_MS) {
    return until(
      async () => (await this.decorations()).find((text) => pattern.test(text)),
      timeout,
      async () => {
        return `no decoration matches ${pattern}; there are ${JSON.stringify(await this.decorations())}`;
      },
    );
  }

  /** The contents of a webview that has `selector`. */
  async webview(selector, timeout = DEFAULT_TIMEOUT_MS) {
    return until(
      async () => {
        for (const frame of this.page.frames()) {
          const found = await frame
            .locator(selector)
            .count()
            .catch(() => 0);
          if (found > 0) return frame;
        }
        return undefined;
      },
      timeout,
      () => `no webview has ${selector}`,
    );
  }

  /** Put the mouse on the end of a decoration's text. */
  async hoverDecoration(pattern) {
    const place = await this.page.evaluate((source) => {
      const expected = new RegExp(source);
      const spans = [...document.querySelectorAll(".monaco-editor .view-line span")];
      const box = spans
        .find((span) => expected.test(getComputedStyle(span, "::after").content))
        .getBoundingClientRect();
      // A long text ends outside of the editor.
      const edge = document
        .querySelector(".editor-group-container.active .monaco-editor")
        .getBoundingClientRect().right;
      return { x: Math.min(box.right - 8, edge - 60), y: (box.top + box.bottom) / 2 };
    }, pattern.source);
    await this.page.mouse.move(place.x, place.y);
    await this.page.mouse.move(place.x - 2, place.y, { steps: 3 });
  }

  get statusItem() {
    return this.page.locator('.statusbar-item[id*="analystd.status"]').first();
  }

  async shot(name) {
    if (!this.screenshots) return;
    const number = String(++this.number).padStart(2, "0");
    await this.page.screenshot({ path: path.join(this.screenshots, `${number}-${name}.png`) });
  }
}

/** Ask `probe` until it gives something; times out with the words of `explain`. */
export async function until(probe, timeout, explain) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(await explain());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
