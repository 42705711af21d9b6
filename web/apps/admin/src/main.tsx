import "./styles.css";
import { startLocale } from "@ai-orchestra/ui/locale.ts";
import { followTheme } from "@ai-orchestra/ui/theme.ts";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { catalogues } from "./catalogues.ts";

followTheme();
await startLocale(catalogues);
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
