import { lazy, Suspense } from "react";

const load = () => import("./markdown.tsx");
const Markdown = lazy(async () => ({ default: (await load()).Markdown }));

/** Fetches the Markdown chunk before the first answer needs it. */
export function preloadMarkdown(): void {
  void load();
}

/** Until the chunk is there the text itself is shown, so that nothing jumps far. */
export function LazyMarkdown({ text }: { text: string }) {
  return (
    <Suspense fallback={<p className="whitespace-pre-wrap">{text}</p>}>
      <Markdown text={text} />
    </Suspense>
  );
}
