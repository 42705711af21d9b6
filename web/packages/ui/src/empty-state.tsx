import type { ReactNode } from "react";

export interface EmptyStateProps {
  icon?: ReactNode;
  title: string;
  description?: ReactNode;
  action?: ReactNode;
}

export function EmptyState({ icon, title, description, action }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center px-6 py-12 text-center">
      {icon ? <div className="mb-4 flex size-12 items-center justify-center rounded-2xl bg-accent-soft text-accent-text">{icon}</div> : null}
      <p className="font-medium text-balance">{title}</p>
      {description ? <p className="mt-1.5 max-w-sm text-sm text-pretty text-ink-soft">{description}</p> : null}
      {action ? <div className="mt-5">{action}</div> : null}
    </div>
  );
}
