/**
 * Keeps the end of a growing thread in view, until the reader scrolls up; then the page stands still, and a button
 * leads back. Earlier messages that are put in front do not move what is being read.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";

/** Closer than this to the end counts as being there. */
const NEAR_PX = 64;
/** A scroll this soon after a hand moved is the reader's; any other comes from the layout, which decides nothing. */
const HAND_MS = 1_000;
const HAND_EVENTS = ["wheel", "touchmove", "pointerdown", "keydown"] as const;

export interface StickToEnd {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  atEnd: boolean;
  toEnd: () => void;
}

/** `sent` changes with every message of the reader's own, which always leads to the end. */
export function useStickToEnd(sent: string | undefined): StickToEnd {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  const [atEnd, setAtEnd] = useState(true);

  // Watches the sizes of the thread and of its window, and the reader's scrolling.
  useLayoutEffect(() => {
    const window = scroller.current;
    const thread = content.current;
    if (!window || !thread) return undefined;
    let height = thread.offsetHeight;
    let top = window.scrollTop;
    let handMovedAt = -Infinity;
    let first = thread.querySelector("article");
    const resized = new ResizeObserver(() => {
      const firstNow = thread.querySelector("article");
      if (sticks.current) window.scrollTop = window.scrollHeight;
      // Earlier messages came in front: what is being read stays where it is.
      else if (firstNow !== first) window.scrollTop += Math.max(0, thread.offsetHeight - height);
      height = thread.offsetHeight;
      first = firstNow;
    });
    const handMoved = () => {
      handMovedAt = performance.now();
    };
    const scrolled = () => {
      const near = window.scrollHeight - window.scrollTop - window.clientHeight < NEAR_PX;
      if (near) sticks.current = true;
      else if (window.scrollTop < top && performance.now() - handMovedAt < HAND_MS) sticks.current = false;
      top = window.scrollTop;
      setAtEnd(near || sticks.current);
    };
    resized.observe(thread);
    resized.observe(window);
    window.addEventListener("scroll", scrolled, { passive: true });
    for (const type of HAND_EVENTS) window.addEventListener(type, handMoved, { passive: true });
    return () => {
      resized.disconnect();
      window.removeEventListener("scroll", scrolled);
      for (const type of HAND_EVENTS) window.removeEventListener(type, handMoved);
    };
  }, []);

  const toEnd = useCallback(() => {
    const window = scroller.current;
    sticks.current = true;
    window?.scrollTo({ top: window.scrollHeight, behavior: "smooth" });
  }, []);

  // Follows the reader's own message down.
  useEffect(() => {
    if (sent !== undefined) toEnd();
  }, [sent, toEnd]);

  return { scroller, content, atEnd, toEnd };
}
