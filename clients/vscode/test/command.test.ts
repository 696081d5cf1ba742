import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { test } from "node:test";
import { expand, findProgram } from "../src/pure/command";

test("a program is found on the path, by its path, and not where there is none", (context) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "command-"));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  const program = path.join(folder, "tool");
  fs.writeFileSync(program, "", { mode: 0o755 });
  fs.writeFileSync(path.join(folder, "text"), "", { mode: 0o644 });
  assert.equal(findProgram("tool", undefined, `/nowhere:${folder}`), program);
  assert.equal(findProgram("./tool", folder, ""), program);
  assert.equal(findProgram(program, undefined, ""), program);
  assert.equal(findProgram("text", undefined, folder), null);
  assert.equal(findProgram("missing", undefined, folder), null);
  assert.equal(findProgram(folder, undefined, ""), null);
});

test("home and folder are replaced", () => {
  assert.equal(expand("~/bin/x", undefined), `${os.homedir()}/bin/x`);
  assert.equal(expand("${workspaceFolder}/x", "/a"), "/a/x");
  assert.equal(expand("a~", "/a"), "a~");
});
