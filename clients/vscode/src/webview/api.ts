/** What VS Code gives a webview's script. */

import { visible } from "../pure/inert";

interface Api {
  postMessage(message: unknown): void;
  getState(): unknown;
  /** Keep what can be JSON for when the window was closed and is opened again. */
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): Api;

export const api: Api = acquireVsCodeApi();

/** A new element with a class and text, in which what hides or turns text is seen. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className = "",
  text = "",
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = visible(text);
  return made;
}
