import { useEffect } from "react";

/** Keeps the browser tab's title in step with the page. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · AI Orchestra`;
  }, [title]);
}
