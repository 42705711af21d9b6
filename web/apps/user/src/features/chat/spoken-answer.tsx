import { useRef, type ReactNode } from "react";
import { finishedSentences } from "./sentences.ts";

/** Tells a growing answer to screen readers politely, sentence by sentence; text that was there before is not told. */
export function SpokenAnswer({ text, growing }: { text: string; growing: boolean }): ReactNode {
  const told = useRef<{ until: number; spoken: string } | undefined>(undefined);
  /* eslint-disable react-hooks/refs -- how far was told must survive renders without causing one */
  told.current ??= { until: text.length, spoken: "" };
  if (told.current.until > text.length) told.current = { until: 0, spoken: "" };
  const next = finishedSentences(growing ? text : `${text}\n`, told.current.until);
  if (next.spoken !== "") told.current = { until: Math.min(next.until, text.length), spoken: next.spoken };
  return (
    <p className="sr-only" aria-live="polite">
      {told.current.spoken}
    </p>
  );
  /* eslint-enable react-hooks/refs */
}
