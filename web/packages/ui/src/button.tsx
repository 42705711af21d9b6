import { useRef, useState, type ButtonHTMLAttributes, type MouseEvent, type ReactNode } from "react";
import { classNames } from "./class-names.ts";
import { Spinner } from "./spinner.tsx";

export type ButtonVariant = "primary" | "secondary" | "ghost" | "outline" | "danger";
export type ButtonSize = "sm" | "md" | "lg";

const VARIANTS: Record<ButtonVariant, string> = {
  primary: "bg-accent text-accent-ink hover:bg-accent-hover",
  secondary: "bg-accent-soft text-accent-text hover:bg-primary-100 dark:hover:bg-primary-900/60",
  ghost: "text-ink-soft hover:bg-hover hover:text-ink",
  outline: "border border-line bg-surface text-ink hover:border-line-strong hover:bg-hover",
  danger: "bg-error-fill text-white hover:brightness-95",
};

const SIZES: Record<ButtonSize, string> = {
  sm: "h-8 gap-1.5 rounded-lg px-3 text-[0.8125rem]",
  md: "h-10 gap-2 rounded-xl px-4 text-sm",
  lg: "h-12 gap-2 rounded-xl px-6 text-base",
};

const ICON_SIZES: Record<ButtonSize, string> = { sm: "size-8 rounded-lg", md: "size-10 rounded-xl", lg: "size-12 rounded-xl" };

const BASE =
  "pressable touch inline-flex shrink-0 select-none items-center justify-center whitespace-nowrap font-medium disabled:cursor-not-allowed disabled:opacity-55";

export function buttonClass(variant: ButtonVariant = "primary", size: ButtonSize = "md"): string {
  return classNames(BASE, VARIANTS[variant], SIZES[size]);
}

interface Common extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "onClick"> {
  variant?: ButtonVariant;
  size?: ButtonSize;
  /** May be asynchronous: the button spins and is disabled until it settles. */
  onClick?: (event: MouseEvent<HTMLButtonElement>) => unknown;
  /** For work that starts elsewhere, as in a form's submit. */
  busy?: boolean;
}

export interface ButtonProps extends Common {
  icon?: ReactNode;
}

export function Button({ variant = "primary", size = "md", icon, busy, onClick, className, children, ...rest }: ButtonProps) {
  const [running, run] = useRunning(onClick);
  const waits = running || busy === true;
  return (
    <button
      type="button"
      {...rest}
      onClick={run}
      disabled={rest.disabled === true || waits}
      aria-busy={waits || undefined}
      className={classNames(buttonClass(variant, size), className)}
    >
      {waits ? <Spinner /> : icon}
      {children}
    </button>
  );
}

export interface IconButtonProps extends Common {
  /** What it does, for those who cannot see the icon, and as the tooltip. */
  label: string;
}

export function IconButton({ variant = "ghost", size = "md", label, busy, onClick, className, children, ...rest }: IconButtonProps) {
  const [running, run] = useRunning(onClick);
  const waits = running || busy === true;
  return (
    <button
      type="button"
      title={label}
      {...rest}
      onClick={run}
      aria-label={label}
      disabled={rest.disabled === true || waits}
      aria-busy={waits || undefined}
      className={classNames(BASE, VARIANTS[variant], ICON_SIZES[size], className)}
    >
      {waits ? <Spinner /> : children}
    </button>
  );
}

function useRunning(action: Common["onClick"]): [boolean, (event: MouseEvent<HTMLButtonElement>) => void] {
  const [running, setRunning] = useState(false);
  const guard = useRef(false);
  const run = (event: MouseEvent<HTMLButtonElement>) => {
    if (guard.current) return;
    const outcome = action?.(event);
    if (!(outcome instanceof Promise)) return;
    guard.current = true;
    setRunning(true);
    void outcome.finally(() => {
      guard.current = false;
      setRunning(false);
    });
  };
  return [running, run];
}
