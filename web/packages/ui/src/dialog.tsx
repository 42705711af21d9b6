/**
 * Dialog and drawer on the platform's own <dialog>: it traps focus, closes on Escape and makes the rest inert, and
 * unlike the usual libraries it injects no style element, which the content security policy would refuse.
 */
import { useEffect, useId, useRef, type ReactNode } from "react";
import { IconButton } from "./button.tsx";
import { classNames } from "./class-names.ts";
import { XIcon } from "./icons.ts";

export interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  closeLabel: string;
  children?: ReactNode;
  footer?: ReactNode;
}

export function Dialog(props: DialogProps) {
  return (
    <Modal {...props} className="m-auto w-[min(30rem,calc(100vw-2rem))] rounded-2xl open:animate-rise-in">
      <div className="px-6 pb-6">{props.children}</div>
    </Modal>
  );
}

export interface DrawerProps extends DialogProps {
  side: "left" | "right";
}

export function Drawer({ side, ...props }: DrawerProps) {
  const place =
    side === "left" ? "mr-auto ml-0 w-[min(20rem,88vw)] open:animate-slide-in-left" : "ml-auto mr-0 w-[min(42rem,100vw)] open:animate-slide-in-right";
  return (
    <Modal {...props} className={classNames("my-0 h-dvh max-h-dvh", place)}>
      <div className="safe-bottom min-h-0 flex-1 overflow-y-auto px-6 pb-6">{props.children}</div>
    </Modal>
  );
}

function Modal({ open, onClose, title, description, closeLabel, footer, children, className }: DialogProps & { className: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Keeps the <dialog> element's own open state in step with the property.
  useEffect(() => {
    const element = dialog.current;
    if (!element || element.open === open) return;
    if (!open) {
      element.close();
      return;
    }
    element.showModal();
    // By itself the focus would go to the first button, which closes.
    const field = element.querySelector<HTMLElement>("input:not([type=hidden]), textarea, select");
    (field ?? element.querySelector("h2"))?.focus();
    if (field instanceof HTMLInputElement) field.select();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
      className={classNames(
        "max-w-none flex-col overflow-hidden border border-line bg-surface p-0 text-ink shadow-float backdrop:animate-fade-in backdrop:bg-[#0b1420]/45 open:flex",
        className,
      )}
    >
      {open ? (
        <>
          <header className="flex items-start gap-4 px-6 pt-[calc(env(safe-area-inset-top)+1.25rem)] pb-4">
            <div className="min-w-0 flex-1">
              <h2 id={titleId} tabIndex={-1} className="text-lg font-semibold text-balance outline-none">
                {title}
              </h2>
              {description ? <div className="mt-1 text-sm text-ink-soft">{description}</div> : null}
            </div>
            <IconButton label={closeLabel} size="sm" className="-mr-2" onClick={onClose}>
              <XIcon className="size-4" />
            </IconButton>
          </header>
          {children}
          {footer ? <footer className="flex flex-wrap justify-end gap-2 border-t border-line bg-sunken px-6 py-4">{footer}</footer> : null}
        </>
      ) : null}
    </dialog>
  );
}
