import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { test } from "node:test";
import { foldersUpward, isOfWorkspace } from "../src/pure/places";

void test("a folder below one with a workspace is in use, and so is the workspace", () => {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), "places-"));
  fs.mkdirSync(path.join(base, "project/workspace/deep"), { recursive: true });
  fs.mkdirSync(path.join(base, "project/notebooks"));
  const isUsed = (name: string) => foldersUpward(path.join(base, name)).some(isOfWorkspace);
  assert.deepEqual(["project", "project/notebooks", "project/workspace/deep", "elsewhere"].map(isUsed), [
    true,
    true,
    true,
    false,
  ]);
  fs.rmSync(base, { recursive: true });
});

void test("the folders around one are told, the nearest first", () => {
  assert.deepEqual(foldersUpward("/a/b"), ["/a/b", "/a", "/"]);
});
