import { Skeleton } from "@ai-orchestra/ui/skeleton";
import { Link, type LinkProps } from "@tanstack/react-router";

export interface FigureCardProps {
  label: string;
  /** Undefined until it is known. */
  value: string | undefined;
  detail?: string | undefined;
  /** The list behind the number. */
  link: Pick<LinkProps, "to" | "search">;
}

export function FigureCard({ label, value, detail, link }: FigureCardProps) {
  return (
    <Link {...link} className="pressable rounded-2xl border border-line bg-surface p-5 shadow-soft hover:border-line-strong">
      <p className="text-sm text-ink-soft">{label}</p>
      {value === undefined ? (
        <Skeleton className="mt-2 h-9 w-16" />
      ) : (
        <p className="mt-1 flex items-baseline gap-2">
          <span className="text-3xl font-semibold tracking-tight tabular-nums">{value}</span>
          {detail ? <span className="text-sm text-ink-faint">{detail}</span> : null}
        </p>
      )}
    </Link>
  );
}
