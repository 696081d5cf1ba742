import assert from "node:assert/strict";
import { test } from "node:test";
import type { QuarantineEntry } from "../src/protocol";
import { inertPath, movedAside, restoreQuestion } from "../src/pure/quarantine";

const item = (path: string) => ({ path, kind: "folder", size: 1, trusted_by: "editors", reason: "" });

const entry = (...paths: string[]): QuarantineEntry => ({
  id: "q_1",
  at: 0,
  runs: [],
  moved: paths.map(item),
  count: paths.length,
});

test("a path that code chose is no link and no command", () => {
  assert.equal(inertPath("[Continue](command:x)/.git"), "?Continue??command?x?/.git");
  assert.equal(inertPath("$(trash) `x` <b>\n.vscode"), "??trash? ?x? ?b??.vscode");
  assert.equal(inertPath("sub/Größe 2/.venv"), "sub/Größe 2/.venv");
});

test("the message names a few and counts the rest", () => {
  assert.match(movedAside(entry(".git")), /^analystd moved \.git aside: /);
  assert.match(
    movedAside(entry("a/.git", "b/.git", "c/.git", "d/.git", "e/.git")),
    /a\/\.git, b\/\.git, c\/\.git and 2 more/,
  );
});

test("the question before a restore names the files, or why it cannot be", () => {
  const preview = { status: "preview" as const, entry: entry(".git"), digest: "d", problems: [] as string[] };
  const files = Array.from({ length: 20 }, (_, number) => ({ path: `.git/${number}`, size: number }));
  assert.equal(restoreQuestion({ ...preview, files }).title, "Put .git back?");
  assert.match(restoreQuestion({ ...preview, files }).detail, /\.git\/14 \(14 bytes\)\nand 5 more files$/);
  const refused = restoreQuestion({ ...preview, files, problems: [".git: something else is there now"] });
  assert.deepEqual(refused, { title: "It cannot be put back", detail: ".git? something else is there now" });
});
