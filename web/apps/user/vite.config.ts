import { appConfig } from "@ai-orchestra/config/vite";
import { defineConfig } from "vite";

export default defineConfig(appConfig({ base: "/" }));
