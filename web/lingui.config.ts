import { defineConfig } from "@lingui/cli";
import { formatter } from "@lingui/format-po";

const app = (name: string) => ({
  path: `<rootDir>/apps/${name}/src/locales/{locale}`,
  include: [`<rootDir>/apps/${name}/src`, "<rootDir>/packages/ui/src"],
});

export default defineConfig({
  sourceLocale: "en",
  locales: ["en", "zh-CN"],
  catalogs: [app("user"), app("admin")],
  // Where a text stands would make every move of a component a change of both catalogues.
  format: formatter({ origins: false }),
});
