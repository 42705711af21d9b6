import type { ReactNode } from "react";
import { classNames } from "./class-names.ts";

export function Card({ className, children }: { className?: string; children: ReactNode }) {
  return <section className={classNames("rounded-2xl border border-line bg-surface shadow-soft", className)}>{children}</section>;
}

export interface CardHeaderProps {
  title: string;
  description?: ReactNode;
  action?: ReactNode;
}

export function CardHeader({ title, description, action }: CardHeaderProps) {
  return (
    <header className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2 px-5 pt-5 pb-4 sm:px-6">
      <div className="min-w-0">
        <h2 className="text-base font-semibold">{title}</h2>
        {description ? <p className="mt-0.5 text-sm text-ink-soft">{description}</p> : null}
      </div>
      {action}
    </header>
  );
}

export function CardBody({ className, children }: { className?: string; children: ReactNode }) {
  return <div className={classNames("px-5 pb-5 sm:px-6 sm:pb-6", className)}>{children}</div>;
}
