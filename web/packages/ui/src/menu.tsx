/**
 * A menu on the platform's popover: it lies above everything, closes on Escape or a click elsewhere and gives the
 * focus back. What is ours is the place beside its trigger and the arrow keys.
 */
import { cloneElement, createContext, use, useEffect, useId, useLayoutEffect, useRef, useState, type MouseEvent, type ReactElement, type ReactNode } from "react";
import { classNames } from "./class-names.ts";
import { CheckIcon } from "./icons.ts";
import { moveFocus } from "./menu-keys.ts";
import { placeBeside, type Place } from "./place-beside.ts";

interface TriggerProps {
  id?: string;
  "aria-haspopup"?: "menu";
  "aria-expanded"?: boolean;
  "data-state"?: "open" | "closed";
  onPointerDown?: () => void;
  onClick?: (event: MouseEvent<HTMLButtonElement>) => unknown;
}

export interface MenuProps extends Partial<Place> {
  /** A button; the menu adds what it needs to it. */
  trigger: ReactElement<TriggerProps>;
  children: ReactNode;
}

const Close = createContext<() => void>(() => undefined);

export function Menu({ trigger, align = "end", side = "bottom", children }: MenuProps) {
  const id = useId();
  const [opened, setOpened] = useState<"closed" | "pointer" | "keyboard">("closed");
  const [pressedOpen, setPressedOpen] = useState(false);
  const open = opened !== "closed";
  const button = cloneElement(trigger, {
    id,
    "aria-haspopup": "menu",
    "aria-expanded": open,
    "data-state": open ? "open" : "closed",
    // The press closes the menu by itself, and the click that follows must not open it again.
    onPointerDown: () => {
      setPressedOpen(open);
    },
    onClick: (event) => {
      const byKeyboard = event.detail === 0;
      if (!pressedOpen || byKeyboard) setOpened(byKeyboard ? "keyboard" : "pointer");
      setPressedOpen(false);
    },
  });
  const close = () => {
    setOpened("closed");
  };
  return (
    <>
      {button}
      {open ? (
        <Close value={close}>
          <Panel triggerId={id} place={{ align, side }} focusFirst={opened === "keyboard"} onClose={close}>
            {children}
          </Panel>
        </Close>
      ) : null}
    </>
  );
}

interface PanelProps {
  triggerId: string;
  place: Place;
  focusFirst: boolean;
  onClose: () => void;
  children: ReactNode;
}

function Panel({ triggerId, place: { align, side }, focusFirst, onClose, children }: PanelProps) {
  const panel = useRef<HTMLDivElement>(null);
  // Opens the popover beside its trigger before the browser paints.
  useLayoutEffect(() => {
    const element = panel.current;
    const trigger = document.getElementById(triggerId);
    if (!element || !trigger) return undefined;
    element.showPopover();
    placeBeside(element, trigger, { align, side });
    if (focusFirst) moveFocus(element, "Home");
    else element.focus();
    return () => {
      if (element.contains(document.activeElement)) trigger.focus();
    };
  }, [triggerId, align, side, focusFirst]);
  useCloseOnMovement(panel, onClose);
  return (
    <div
      ref={panel}
      popover="auto"
      role="menu"
      tabIndex={-1}
      aria-labelledby={triggerId}
      onToggle={(event) => {
        if (event.newState === "closed") onClose();
      }}
      onKeyDown={(event) => {
        if (event.key === "Tab") onClose();
        else if (moveFocus(event.currentTarget, event.key)) event.preventDefault();
      }}
      className="fixed inset-auto m-0 max-h-96 min-w-48 max-w-80 animate-rise-in overflow-y-auto rounded-xl border border-line bg-surface p-1.5 text-ink shadow-float outline-none"
    >
      {children}
    </div>
  );
}

/** When what it stands beside moves away, the menu closes rather than pointing at nothing. */
function useCloseOnMovement(panel: { current: HTMLElement | null }, onClose: () => void) {
  useEffect(() => {
    const moved = (event: Event) => {
      if (!(event.target instanceof Node && panel.current?.contains(event.target))) onClose();
    };
    addEventListener("resize", moved);
    addEventListener("scroll", moved, true);
    return () => {
      removeEventListener("resize", moved);
      removeEventListener("scroll", moved, true);
    };
  }, [panel, onClose]);
}

export interface MenuItemProps {
  icon?: ReactNode;
  danger?: boolean;
  checked?: boolean;
  hint?: ReactNode;
  disabled?: boolean;
  onSelect: () => void;
  children: ReactNode;
}

export function MenuItem({ icon, danger, checked, hint, disabled, onSelect, children }: MenuItemProps) {
  const close = use(Close);
  return (
    <button
      type="button"
      role={checked === undefined ? "menuitem" : "menuitemradio"}
      aria-checked={checked}
      disabled={disabled}
      tabIndex={-1}
      onPointerMove={(event) => {
        event.currentTarget.focus({ preventScroll: true });
      }}
      onClick={() => {
        close();
        onSelect();
      }}
      className={classNames(
        "touch flex w-full select-none items-center gap-2.5 rounded-lg px-2.5 py-2 text-left text-sm outline-none! focus:bg-hover disabled:opacity-55",
        danger ? "text-error-text" : "text-ink",
      )}
    >
      {icon ? <span className="text-current opacity-80">{icon}</span> : null}
      <span className="min-w-0 flex-1 truncate">{children}</span>
      {hint ? <span className="text-xs text-ink-faint">{hint}</span> : null}
      {checked ? <CheckIcon className="size-4 text-accent-text" /> : null}
    </button>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <p className="px-2.5 pt-1.5 pb-1 text-xs font-medium text-ink-faint">{children}</p>;
}

export function MenuSeparator() {
  return <hr className="mx-1 my-1.5 border-line" />;
}
