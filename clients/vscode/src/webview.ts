/** What all webviews of this extension share. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";

/** The page of a webview: its script, its style sheet, and a policy that lets nothing else in and nothing out. */
export function page(webview: vscode.Webview, extension: vscode.Uri, name: string, title: string): string {
  const nonce = randomBytes(16).toString("base64");
  const script = webview.asWebviewUri(vscode.Uri.joinPath(extension, "out", "webview", `${name}.js`));
  const style = webview.asWebviewUri(vscode.Uri.joinPath(extension, "media", `${name}.css`));
  const policy = `default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${style.toString()}">
</head>
<body class="${name}">
<script nonce="${nonce}" src="${script.toString()}"></script>
</body>
</html>`;
}

/** `text` with the five characters that HTML gives a meaning replaced. */
function escapeHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** What a webview of this extension may load. */
export function webviewOptions(extension: vscode.Uri): vscode.WebviewOptions {
  const parts = [vscode.Uri.joinPath(extension, "out", "webview"), vscode.Uri.joinPath(extension, "media")];
  return { enableScripts: true, localResourceRoots: parts };
}
