// Bundles the extension, the scripts of its webviews, and with --tests the unit tests.
import { build, context } from "esbuild";

const has = (flag) => process.argv.includes(flag);
const shared = { bundle: true, logLevel: "warning", minify: has("--production"), sourcemap: !has("--production") };
const node = { ...shared, platform: "node", target: "node20", format: "cjs" };

const bundles = [
  { ...node, entryPoints: ["src/extension.ts"], outdir: "out", external: ["vscode"] },
  {
    ...shared,
    platform: "browser",
    target: "es2022",
    entryPoints: ["src/webview/table.ts", "src/webview/answers.ts"],
    outdir: "out/webview",
  },
];
// Without `external`: what the tests need must not need the editor.
const tests = {
  ...node,
  entryPoints: ["test/*.test.ts"],
  outdir: "out/test",
};

if (has("--watch")) {
  for (const bundle of bundles) {
    await (await context(bundle)).watch();
  }
} else {
  await Promise.all((has("--tests") ? [tests] : bundles).map((bundle) => build(bundle)));
}
