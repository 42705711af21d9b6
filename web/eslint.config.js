import { importX } from "eslint-plugin-import-x";
import reactHooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const nobodyImports = (files, patterns) => ({
  files: [files],
  rules: { "no-restricted-imports": ["error", { patterns }] },
});

const apps = { group: ["**/apps/**"], message: "Packages know no app." };
const outside = { group: ["../../../packages/**", "**/apps/**"], message: "Apps import packages by name, and never each other." };

export default defineConfig([
  globalIgnores(["**/dist", "packages/api/src/openapi.ts", "packages/config/src/theme-script.js"]),
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, reactHooks.configs.flat.recommended],
    plugins: { "import-x": importX },
    languageOptions: { parserOptions: { project: ["./tsconfig.json", "./apps/*/tsconfig.json"], tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "max-lines": ["error", { max: 250, skipBlankLines: true, skipComments: true }],
      "import-x/no-default-export": "error",
      "import-x/no-duplicates": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      // A leading underscore says that a part is left out on purpose.
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_", ignoreRestSiblings: true }],
      // Handlers of React may be asynchronous where the component waits for them (Button does).
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
    },
  },
  // Tools want a default export.
  { files: ["**/*.config.ts"], rules: { "import-x/no-default-export": "off" } },
  { files: ["tests/**", "scripts/**", "**/*.test.ts"], rules: { "no-console": "off" } },
  nobodyImports("packages/api/src/**", [apps, { group: ["@ai-orchestra/ui", "@ai-orchestra/ui/*"], message: "The client knows no component." }]),
  nobodyImports("packages/ui/src/**", [apps, { group: ["@ai-orchestra/api", "@ai-orchestra/api/*"], message: "Components know no business." }]),
  nobodyImports("apps/**", [outside]),
]);
