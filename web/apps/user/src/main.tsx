import "./styles.css";
import { startLocale } from "@ai-orchestra/ui/locale.ts";
import { followTheme } from "@ai-orchestra/ui/theme.ts";
import { learnProblemWords } from "@ai-orchestra/ui/problem-text.ts";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { catalogues } from "./catalogues.ts";
import { PROBLEM_WORDS } from "./problem-words.ts";

followTheme();
learnProblemWords(PROBLEM_WORDS);
await startLocale(catalogues);
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
