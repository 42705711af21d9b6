import { useId, type ReactNode } from "react";
import { classNames } from "./class-names.ts";

export interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  /** For a field whose meaning its surroundings show: the label is for screen readers only. */
  hideLabel?: boolean;
  className?: string;
}

interface ControlProps {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

/** Label, control, and hint or error, tied together for assistive technology. */
export function Field({ label, hint, error, hideLabel, className, children }: FieldProps & { children: (control: ControlProps) => ReactNode }) {
  const id = useId();
  const note = error ?? hint;
  const noteId = `${id}-note`;
  return (
    <div className={classNames("flex flex-col gap-1.5", className)}>
      <label htmlFor={id} className={hideLabel ? "sr-only" : "text-sm font-medium text-ink"}>
        {label}
      </label>
      {children({ id, "aria-describedby": note ? noteId : undefined, "aria-invalid": error ? true : undefined })}
      {note ? (
        <p id={noteId} role={error ? "alert" : undefined} className={classNames("text-[0.8125rem]", error ? "text-error-text" : "text-ink-faint")}>
          {note}
        </p>
      ) : null}
    </div>
  );
}

export const CONTROL =
  "w-full rounded-xl border border-line bg-surface px-3.5 text-base text-ink transition-colors hover:border-line-strong focus-visible:border-ring focus-visible:outline-offset-0 disabled:cursor-not-allowed disabled:bg-sunken disabled:text-ink-faint aria-invalid:border-error-text sm:text-sm";
