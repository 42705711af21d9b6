/** Markdown of a model, which is not to be trusted: no raw HTML, sanitised last, no remote picture loaded by itself. */
import { memo, useMemo, type ComponentProps } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import { harden } from "rehype-harden";
import rehypeSanitize, { defaultSchema } from "rehype-sanitize";
import { CodeBlock } from "./code-block.tsx";
import { markdownSyntax } from "./markdown-syntax.ts";
import { splitBlocks } from "./split-blocks.ts";

type Options = ComponentProps<typeof ReactMarkdown>;

const REMARK: NonNullable<Options["remarkPlugins"]> = [markdownSyntax];
const REHYPE: NonNullable<Options["rehypePlugins"]> = [
  [harden, { defaultOrigin: location.origin, allowedLinkPrefixes: ["*"], allowedImagePrefixes: ["*"], allowDataImages: false }],
  [rehypeSanitize, defaultSchema],
];

const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  ),
  // Loading a picture tells its host who reads; a link leaves that to the reader.
  img: ({ src, alt }) => (
    <a href={typeof src === "string" ? src : undefined} target="_blank" rel="noopener noreferrer nofollow">
      {alt ?? src}
    </a>
  ),
  table: ({ children }) => (
    <div className="prose-table" tabIndex={0} role="group">
      <table>{children}</table>
    </div>
  ),
  pre: ({ children }) => <>{children}</>,
  code: ({ className, children }) => {
    const text = typeof children === "string" ? children : "";
    const language = /language-([\w+#-]+)/.exec(className ?? "")?.[1];
    return language !== undefined || text.includes("\n") ? <CodeBlock code={text} language={language} /> : <code>{children}</code>;
  },
};

export function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => splitBlocks(text), [text]);
  return blocks.map((block, at) => <Block key={at} text={block} />);
}

const Block = memo(function Block({ text }: { text: string }) {
  return (
    <ReactMarkdown remarkPlugins={REMARK} rehypePlugins={REHYPE} components={COMPONENTS}>
      {text}
    </ReactMarkdown>
  );
});
