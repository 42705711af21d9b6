import { BrandMark } from "@ai-orchestra/ui/brand";
import { Button, IconButton } from "@ai-orchestra/ui/button";
import { MoonIcon, SunIcon } from "@ai-orchestra/ui/icons";
import { chooseLocale } from "@ai-orchestra/ui/locale.ts";
import { chooseTheme, useThemeChoice } from "@ai-orchestra/ui/theme.ts";
import { useLingui } from "@lingui/react/macro";
import type { ReactNode } from "react";

export interface AuthCardProps {
  title: string;
  description?: ReactNode;
  children: ReactNode;
}

/** The frame of the pages before sign-in. */
export function AuthCard({ title, description, children }: AuthCardProps) {
  return (
    <div className="flex min-h-dvh flex-col bg-[radial-gradient(60rem_30rem_at_50%_-8rem,var(--accent-soft),transparent)]">
      <header className="safe-top flex justify-end gap-1 p-3">
        <Toggles />
      </header>
      <main className="flex flex-1 flex-col items-center justify-center px-4 pb-24">
        <div className="w-full max-w-[25rem]">
          <div className="mb-8 flex flex-col items-center text-center">
            <BrandMark className="size-12" />
            <h1 className="mt-5 text-2xl font-semibold tracking-tight text-balance">{title}</h1>
            {description ? <p className="mt-2 text-sm text-pretty text-ink-soft">{description}</p> : null}
          </div>
          <div className="rounded-2xl border border-line bg-surface p-6 shadow-soft sm:p-8">{children}</div>
        </div>
      </main>
    </div>
  );
}

/** Two plain buttons instead of the header's menu: this page is the first that anybody loads. */
function Toggles() {
  const { t, i18n } = useLingui();
  const theme = useThemeChoice();
  const chinese = i18n.locale === "zh-CN";
  const dark = theme === "dark" || (theme === "system" && document.documentElement.dataset.theme === "dark");
  return (
    <>
      <Button variant="ghost" size="sm" lang={chinese ? "en" : "zh-CN"} className="h-10" onClick={() => chooseLocale(chinese ? "en" : "zh-CN")}>
        {chinese ? "English" : "简体中文"}
      </Button>
      <IconButton
        label={dark ? t`Light theme` : t`Dark theme`}
        onClick={() => {
          chooseTheme(dark ? "light" : "dark");
        }}
      >
        {dark ? <SunIcon className="size-[1.125rem]" /> : <MoonIcon className="size-[1.125rem]" />}
      </IconButton>
    </>
  );
}
