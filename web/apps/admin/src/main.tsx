import "./styles.css";
import { startPage } from "@ai-orchestra/ui/start-page";
import { App } from "./app.tsx";
import { catalogues } from "./catalogues.ts";
import { PROBLEM_WORDS } from "./problem-words.ts";

await startPage(<App />, { catalogues, problems: PROBLEM_WORDS });
