import { buttonClass } from "@ai-orchestra/ui/button";
import { classNames } from "@ai-orchestra/ui/class-names.ts";
import { ArrowLeftIcon } from "@ai-orchestra/ui/icons";
import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

export interface ChatHeaderProps {
  title: string;
  phoneOnly?: boolean;
  children?: ReactNode;
}

export function ChatHeader({ title, phoneOnly, children }: ChatHeaderProps) {
  const { t } = useLingui();
  // Where this header is for phones only, the page has a heading of its own.
  const Title = phoneOnly ? "p" : "h1";
  return (
    <header className={classNames("safe-top shrink-0 border-b border-line bg-canvas", phoneOnly && "md:hidden")}>
      <div className="flex h-14 items-center gap-1 px-2 md:h-12 md:px-6">
        <Link to="/chat" aria-label={t`All sessions`} className={`${buttonClass("ghost")} size-11 px-0! md:hidden`}>
          <ArrowLeftIcon className="size-5" />
        </Link>
        <Title className="min-w-0 flex-1 truncate text-sm font-medium">{title}</Title>
        {children}
      </div>
    </header>
  );
}
