import type { ReactNode } from "react";
import { classNames } from "./class-names.ts";

export interface BannerProps {
  tone: "neutral" | "warning" | "error" | "success";
  icon?: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}

const TONES = {
  neutral: "bg-hover text-ink-soft",
  warning: "bg-warning-soft text-warning-text",
  error: "bg-error-soft text-error-text",
  success: "bg-success-soft text-success-text",
};

export function Banner({ tone, icon, action, children }: BannerProps) {
  return (
    <div role={tone === "error" ? "alert" : "status"} className={classNames("flex animate-fade-in items-center gap-3 rounded-xl px-4 py-2.5 text-sm", TONES[tone])}>
      {icon ? <span className="shrink-0">{icon}</span> : null}
      <div className="min-w-0 flex-1">{children}</div>
      {action}
    </div>
  );
}
