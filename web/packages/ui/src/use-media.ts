import { useSyncExternalStore } from "react";

/** Below this the tab bar is shown and pages take the whole width. */
export const PHONE = "(max-width: 767.98px)";

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      const media = matchMedia(query);
      media.addEventListener("change", changed);
      return () => {
        media.removeEventListener("change", changed);
      };
    },
    () => matchMedia(query).matches,
  );
}
