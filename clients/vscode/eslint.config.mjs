import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["out/", "node_modules/", "e2e/node_modules/"] },
  js.configs.recommended,
  {
    files: ["src/**/*.ts", "test/**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { project: ["tsconfig.json", "src/webview/tsconfig.json"], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      eqeqeq: "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/prefer-nullish-coalescing": "off",
    },
  },
  {
    files: ["src/**/*.ts"],
    ignores: ["src/surfaces.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "MemberExpression[property.name=/^(show(Error|Warning|Information)Message|showQuickPick|createQuickPick|createInputBox|showInputBox|setStatusBarMessage|withProgress)$/]",
          message: "Text is shown by src/surfaces.ts alone, which makes it inert.",
        },
        {
          selector: "NewExpression[callee.property.name='MarkdownString']",
          message: "Markdown is made by src/surfaces.ts alone, which trusts it with nothing.",
        },
        {
          selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|write|writeln)$/]",
          message: "Pages are built by src/webview/build.ts, with text as text.",
        },
        {
          selector: "AssignmentExpression[left.property.name='isTrusted']",
          message: "No Markdown is trusted.",
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    // `test` and `describe` of node:test give promises that nobody needs to wait for.
    rules: { "@typescript-eslint/no-floating-promises": "off" },
  },
  {
    files: ["**/*.mjs"],
    languageOptions: {
      globals: {
        Buffer: "readonly",
        console: "readonly",
        document: "readonly",
        fetch: "readonly",
        getComputedStyle: "readonly",
        process: "readonly",
        setTimeout: "readonly",
        URL: "readonly",
      },
    },
  },
);
