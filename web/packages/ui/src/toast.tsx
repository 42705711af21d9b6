/** Short notices at the edge of the screen. Our own few lines: the usual library injects a style element. */
import { useSyncExternalStore } from "react";
import { IconButton } from "./button.tsx";
import { classNames } from "./class-names.ts";
import { CheckIcon, CircleAlertIcon, XIcon } from "./icons.ts";

interface Toast {
  id: number;
  tone: "success" | "error";
  text: string;
}

/** Long enough to read two lines. */
const LIFE_MS = { success: 4_000, error: 8_000 };
const MOST = 3;

let toasts: readonly Toast[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function replace(next: readonly Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}

function dismiss(id: number) {
  replace(toasts.filter((toast) => toast.id !== id));
}

function show(tone: Toast["tone"], text: string) {
  lastId += 1;
  const id = lastId;
  replace([...toasts.filter((toast) => toast.text !== text), { id, tone, text }].slice(-MOST));
  setTimeout(() => {
    dismiss(id);
  }, LIFE_MS[tone]);
}

export const toast = {
  success: (text: string) => {
    show("success", text);
  },
  error: (text: string) => {
    show("error", text);
  },
};

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Toaster({ closeLabel }: { closeLabel: string }) {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed inset-x-4 top-[calc(env(safe-area-inset-top)+4.5rem)] z-60 flex flex-col items-center gap-2 sm:left-auto sm:right-6 sm:items-end">
      {shown.map((item) => (
        <div key={item.id} className="pointer-events-auto flex w-full max-w-sm animate-rise-in items-center gap-3 rounded-xl border border-line bg-surface py-2 pr-2 pl-4 text-sm shadow-float">
          <span className={classNames("shrink-0", item.tone === "success" ? "text-success-text" : "text-error-text")}>
            {item.tone === "success" ? <CheckIcon className="size-4" /> : <CircleAlertIcon className="size-4" />}
          </span>
          <span className="min-w-0 flex-1 py-1">{item.text}</span>
          <IconButton
            size="sm"
            label={closeLabel}
            onClick={() => {
              dismiss(item.id);
            }}
          >
            <XIcon className="size-4" />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
