import { useState, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes } from "react";
import { IconButton } from "./button.tsx";
import { classNames } from "./class-names.ts";
import { CONTROL, Field, type FieldProps } from "./field.tsx";
import { EyeIcon, EyeOffIcon, ChevronDownIcon } from "./icons.ts";

type InputProps = FieldProps & Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "id"> & { icon?: ReactNode };

export function Input({ label, hint, error, hideLabel, className, icon, ...rest }: InputProps) {
  return (
    <Field {...fieldProps({ label, hint, error, hideLabel, className })}>
      {(control) => (
        <span className="relative flex items-center">
          {icon ? <span className="pointer-events-none absolute left-3 text-ink-faint">{icon}</span> : null}
          <input {...rest} {...control} className={classNames(CONTROL, "h-11 sm:h-10", Boolean(icon) && "pl-9")} />
        </span>
      )}
    </Field>
  );
}

export function PasswordInput({ label, hint, error, className, showLabel, hideLabel: _never, ...rest }: InputProps & { showLabel: string }) {
  const [shown, setShown] = useState(false);
  return (
    <Field {...fieldProps({ label, hint, error, className })}>
      {(control) => (
        <span className="relative flex items-center">
          <input {...rest} {...control} type={shown ? "text" : "password"} className={classNames(CONTROL, "h-11 pr-12 sm:h-10")} />
          <IconButton
            size="sm"
            label={showLabel}
            aria-pressed={shown}
            className="absolute right-1"
            onClick={() => {
              setShown(!shown);
            }}
          >
            {shown ? <EyeOffIcon className="size-4" /> : <EyeIcon className="size-4" />}
          </IconButton>
        </span>
      )}
    </Field>
  );
}

type SelectProps = FieldProps & Omit<SelectHTMLAttributes<HTMLSelectElement>, "className" | "id">;

/** The platform's own select: on a phone nothing opens faster or reads better. */
export function Select({ label, hint, error, hideLabel, className, children, ...rest }: SelectProps) {
  return (
    <Field {...fieldProps({ label, hint, error, hideLabel, className })}>
      {(control) => (
        <span className="relative flex items-center">
          <select {...rest} {...control} className={classNames(CONTROL, "h-11 appearance-none pr-9 sm:h-10")}>
            {children}
          </select>
          <ChevronDownIcon className="pointer-events-none absolute right-3 size-4 text-ink-faint" />
        </span>
      )}
    </Field>
  );
}

/** Leaves out what is undefined, which an optional property may not be given. */
function fieldProps(all: { [Name in keyof FieldProps]: FieldProps[Name] | undefined } & { label: string }): FieldProps {
  const { label, hint, error, hideLabel, className } = all;
  return {
    label,
    hint,
    error,
    ...(hideLabel === undefined ? {} : { hideLabel }),
    ...(className === undefined ? {} : { className }),
  };
}
