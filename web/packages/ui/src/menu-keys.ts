/** The keys of a menu, as the ARIA practices describe them. */

/** Moves the focus as `key` says: arrows, Home, End, or the first letter of an item; false when it says nothing. */
export function moveFocus(menu: HTMLElement, key: string): boolean {
  const items = [...menu.querySelectorAll<HTMLButtonElement>("[role^=menuitem]:not(:disabled)")];
  const at = items.findIndex((item) => item === document.activeElement);
  const next = target(items, at, key);
  next?.focus();
  return next !== undefined;
}

function target(items: readonly HTMLButtonElement[], at: number, key: string): HTMLButtonElement | undefined {
  if (key === "ArrowDown") return items[(at + 1) % items.length];
  if (key === "ArrowUp") return items.at(at <= 0 ? -1 : at - 1);
  if (key === "Home") return items[0];
  if (key === "End") return items.at(-1);
  if (key.length !== 1 || key === " ") return undefined;
  const inTurn = [...items.slice(at + 1), ...items.slice(0, at + 1)];
  return inTurn.find((item) => item.textContent.trim().toLowerCase().startsWith(key.toLowerCase()));
}
