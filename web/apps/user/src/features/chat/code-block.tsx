import { Trans, useLingui } from "@lingui/react/macro";
import { CopyButton } from "@ai-orchestra/ui/copy-button";
import { useHighlighted } from "./use-highlighted.ts";

export function CodeBlock({ code, language }: { code: string; language: string | undefined }) {
  const { t } = useLingui();
  const text = code.replace(/\n$/, "");
  const highlighted = useHighlighted(text, language);
  return (
    <figure className="code-block">
      <figcaption className="flex h-10 items-center justify-between border-b border-line pr-1 pl-4 text-xs text-ink-faint">
        <span className="font-mono">{language ?? <Trans>text</Trans>}</span>
        <CopyButton text={text} label={t`Copy the code`} />
      </figcaption>
      <pre tabIndex={0}>
        <code>{highlighted ?? text}</code>
      </pre>
    </figure>
  );
}
