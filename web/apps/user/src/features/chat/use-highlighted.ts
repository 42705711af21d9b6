import { useEffect, useState, type ReactNode } from "react";

/** Beyond this, colouring on every step of a stream would be felt. */
const LONGEST = 20_000;

type Highlight = (code: string, language: string) => ReactNode;
let highlighter: Highlight | undefined;

/** The code in colours, or undefined: too long, no language, or the highlighter is not loaded yet. */
export function useHighlighted(code: string, language: string | undefined): ReactNode {
  const [highlight, setHighlight] = useState<Highlight | undefined>(() => highlighter);
  const wanted = language !== undefined && code.length <= LONGEST;
  // Loads the highlighter with the first code that needs it.
  useEffect(() => {
    if (!wanted || highlight) return undefined;
    let current = true;
    import("./highlight.ts").then(
      (loaded) => {
        highlighter = loaded.highlight;
        if (current) setHighlight(() => loaded.highlight);
      },
      // Without a connection the code stays in one colour.
      () => undefined,
    );
    return () => {
      current = false;
    };
  }, [wanted, highlight]);
  return wanted && highlight ? highlight(code, language) : undefined;
}
