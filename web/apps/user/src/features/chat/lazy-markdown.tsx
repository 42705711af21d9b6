import { lazy, Suspense, type ComponentType } from "react";

const load = () => import("./markdown.tsx");
const Markdown = lazy(async (): Promise<{ default: ComponentType<{ text: string }> }> => {
  try {
    return { default: (await load()).Markdown };
  } catch {
    // Without a connection the text is still there to be read.
    return { default: PlainText };
  }
});

function PlainText({ text }: { text: string }) {
  return <p className="whitespace-pre-wrap">{text}</p>;
}

/** Fetches the Markdown chunk before the first answer needs it. */
export function preloadMarkdown(): void {
  load().catch(() => undefined);
}

/** Until the chunk is there the text itself is shown, so that nothing jumps far. */
export function LazyMarkdown({ text }: { text: string }) {
  return (
    <Suspense fallback={<PlainText text={text} />}>
      <Markdown text={text} />
    </Suspense>
  );
}
