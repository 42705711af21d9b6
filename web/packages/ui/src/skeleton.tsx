import { classNames } from "./class-names.ts";

export function Skeleton({ className }: { className?: string }) {
  return (
    <div
      aria-hidden="true"
      className={classNames("animate-shimmer rounded-lg bg-hover bg-[linear-gradient(100deg,transparent_30%,var(--surface)_50%,transparent_70%)] bg-size-[200%_100%] opacity-80", className)}
    />
  );
}

export function SkeletonRows({ rows, className = "h-12" }: { rows: number; className?: string }) {
  return (
    <div className="flex flex-col gap-3">
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} className={className} />
      ))}
    </div>
  );
}
