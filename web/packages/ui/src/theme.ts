/** Light, dark or as the system: the choice is in localStorage, where the blocking theme script finds it. */
import { useSyncExternalStore } from "react";

export type ThemeChoice = "system" | "light" | "dark";

const listeners = new Set<() => void>();
const dark = matchMedia("(prefers-color-scheme: dark)");

export function themeChoice(): ThemeChoice {
  const stored = readStored();
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function chooseTheme(choice: ThemeChoice): void {
  try {
    if (choice === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", choice);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  apply(choice);
  for (const listener of listeners) listener();
}

export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, themeChoice);
}

function apply(choice: ThemeChoice) {
  const isDark = choice === "dark" || (choice === "system" && dark.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

function readStored(): string | null {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Follows the system's change of theme and other tabs' choices; called once at start. */
export function followTheme(): void {
  const refresh = () => {
    apply(themeChoice());
    for (const listener of listeners) listener();
  };
  dark.addEventListener("change", refresh);
  addEventListener("storage", refresh);
  refresh();
}
