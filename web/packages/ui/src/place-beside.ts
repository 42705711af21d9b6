/** Where a floating panel stands: beside its trigger, and inside the window in any case. */

export interface Place {
  align: "start" | "end";
  side: "top" | "bottom";
}

const GAP_PX = 6;
const MARGIN_PX = 12;

export function placeBeside(panel: HTMLElement, trigger: HTMLElement, { align, side }: Place): void {
  const at = trigger.getBoundingClientRect();
  // The layout's own size: an opening animation scales what getBoundingClientRect tells.
  const { offsetWidth: width, offsetHeight: height } = panel;
  const below = at.bottom + GAP_PX;
  const above = at.top - GAP_PX - height;
  const fitsBelow = below + height <= innerHeight - MARGIN_PX;
  const top = side === "top" ? (above >= MARGIN_PX ? above : below) : fitsBelow ? below : above;
  const left = align === "start" ? at.left : at.right - width;
  panel.style.top = `${String(within(top, innerHeight - height))}px`;
  panel.style.left = `${String(within(left, innerWidth - width))}px`;
}

function within(start: number, room: number): number {
  return Math.max(MARGIN_PX, Math.min(start, room - MARGIN_PX));
}
