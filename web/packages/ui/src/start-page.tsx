/** Begins a page: its theme and language before anything is drawn, then its root, and notices above it. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { I18nProvider } from "@lingui/react";
import { StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { startLocale, type Catalogues } from "./locale.ts";
import { learnProblemWords, type ProblemWords } from "./problem-text.ts";
import { followTheme } from "./theme.ts";
import { Toaster } from "./toast.tsx";

interface Words {
  catalogues: Catalogues;
  problems: ProblemWords;
}

export async function startPage(page: ReactNode, words: Words): Promise<void> {
  followTheme();
  learnProblemWords(words.problems);
  await startLocale(words.catalogues);
  const root = document.getElementById("root");
  if (!root) throw new Error("index.html has no #root");
  createRoot(root).render(
    <StrictMode>
      <Frame>{page}</Frame>
    </StrictMode>,
  );
}

function Frame({ children }: { children: ReactNode }) {
  return (
    <I18nProvider i18n={i18n}>
      {children}
      <Toaster closeLabel={t`Close`} />
    </I18nProvider>
  );
}
