import { classNames } from "./class-names.ts";

export interface MeterProps {
  label: string;
  /** 0–1. */
  value: number;
  /** Written at the right end. */
  text: string;
  /** Where being full is what it is for, a full bar is no warning. */
  calm?: boolean;
}

export function Meter({ label, value, text, calm = false }: MeterProps) {
  const share = Math.min(1, Math.max(0, value));
  const tone = calm ? "stroke-primary-500" : share >= 0.9 ? "stroke-error" : share >= 0.75 ? "stroke-warning" : "stroke-primary-500";
  return (
    <div className="min-w-0">
      <div className="flex justify-between gap-3 text-[0.8125rem]">
        <span className="truncate text-ink-soft">{label}</span>
        <span className="font-medium tabular-nums">{text}</span>
      </div>
      <svg role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share * 100)} className="mt-1.5 block h-1.5 w-full overflow-hidden rounded-full bg-hover">
        <line x1="0" y1="50%" x2={`${String(share * 100)}%`} y2="50%" strokeWidth="6" className={classNames("transition-all duration-300", tone)} />
      </svg>
    </div>
  );
}
