/** Which language the interface speaks; the app brings its catalogues. */
import { i18n, type Messages } from "@lingui/core";

export type Locale = "en" | "zh-CN";
export type Catalogues = Record<Locale, () => Promise<{ messages: Messages }>>;

export const LOCALES: readonly { id: Locale; name: string }[] = [
  { id: "zh-CN", name: "简体中文" },
  { id: "en", name: "English" },
];

let catalogues: Catalogues | undefined;

export function preferredLocale(): Locale {
  const stored = readStored();
  if (stored === "en" || stored === "zh-CN") return stored;
  return navigator.languages.some((language) => language.toLowerCase().startsWith("zh")) ? "zh-CN" : "en";
}

/** Loads the preferred language; the page is drawn only after it, so nothing flashes in another one. */
export async function startLocale(all: Catalogues): Promise<void> {
  catalogues = all;
  await activate(preferredLocale());
}

export async function chooseLocale(locale: Locale): Promise<void> {
  try {
    localStorage.setItem("locale", locale);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  await activate(locale);
}

async function activate(locale: Locale) {
  const catalogue = await catalogues?.[locale]();
  if (!catalogue) return;
  i18n.loadAndActivate({ locale, messages: catalogue.messages });
  document.documentElement.lang = locale;
}

function readStored(): string | null {
  try {
    return localStorage.getItem("locale");
  } catch {
    return null;
  }
}
