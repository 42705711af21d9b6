/**
 * Keeps the end of a growing thread in view, until the reader scrolls up; then the page stands still, and a button
 * leads back. Earlier messages that are put in front do not move what is being read.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";

/** Closer than this to the end counts as being there. */
const NEAR_PX = 64;

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
    const resized = new ResizeObserver(() => {
      if (sticks.current) window.scrollTop = window.scrollHeight;
      else if (window.scrollTop < NEAR_PX) window.scrollTop += Math.max(0, thread.offsetHeight - height);
      height = thread.offsetHeight;
    });
    const scrolled = () => {
      const near = window.scrollHeight - window.scrollTop - window.clientHeight < NEAR_PX;
      if (near) sticks.current = true;
      else if (window.scrollTop < top) sticks.current = false;
      top = window.scrollTop;
      setAtEnd(near || sticks.current);
    };
    resized.observe(thread);
    resized.observe(window);
    window.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      resized.disconnect();
      window.removeEventListener("scroll", scrolled);
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
