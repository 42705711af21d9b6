import type { ReactNode } from "react";

/** The bar at the bottom of a phone's screen; its items are links that the app renders. */
export function TabBar({ label, children }: { label: string; children: ReactNode }) {
  return (
    <nav aria-label={label} className="safe-bottom fixed inset-x-0 bottom-0 z-30 border-t border-line bg-surface/90 backdrop-blur-md md:hidden">
      <div className="mx-auto flex h-15 max-w-lg items-stretch justify-around">{children}</div>
    </nav>
  );
}

export const TAB_BAR_ITEM =
  "pressable flex min-w-14 flex-1 flex-col items-center justify-center gap-0.5 text-[0.6875rem] font-medium text-ink-faint -outline-offset-4 aria-[current=page]:text-accent-text";

export function TabBarItem({ icon, label }: { icon: ReactNode; label: string }) {
  return (
    <>
      {icon}
      <span>{label}</span>
    </>
  );
}
