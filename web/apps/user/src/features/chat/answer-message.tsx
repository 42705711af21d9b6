import type { Message } from "@ai-orchestra/api/schema";
import { BrandMark } from "@ai-orchestra/ui/brand";
import { Button, IconButton } from "@ai-orchestra/ui/button";
import { classNames } from "@ai-orchestra/ui/class-names.ts";
import { formatNumber } from "@ai-orchestra/ui/format.ts";
import { CircleAlertIcon, RotateCcwIcon } from "@ai-orchestra/ui/icons";
import { wordsFor } from "@ai-orchestra/ui/problem-text.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { memo } from "react";
import { CopyButton } from "@ai-orchestra/ui/copy-button";
import { CutNote } from "./cut-note.tsx";
import { LazyMarkdown } from "./lazy-markdown.tsx";
import { SpokenAnswer } from "./spoken-answer.tsx";
import { Thinking } from "./thinking.tsx";
import { useAnswer, type Answer } from "./use-answer.ts";

export interface AnswerMessageProps {
  message: Message;
  isLast: boolean;
  onRegenerate: (message: Message) => Promise<void>;
}

export const AnswerMessage = memo(function AnswerMessage({ message, isLast, onRegenerate }: AnswerMessageProps) {
  const { t } = useLingui();
  const answer = useAnswer(message);
  const growing = answer.state === "streaming";
  return (
    <article aria-label={t`Answer`} aria-busy={growing} className={classNames("group flex gap-4", !isLast && "[contain-intrinsic-size:auto_14rem] [content-visibility:auto]")}>
      <BrandMark className="mt-0.5 size-7 shrink-0 max-md:hidden" />
      <div className="min-w-0 flex-1">
        {answer.content !== "" ? (
          <div className={classNames("prose", growing && "prose-streaming")}>
            <LazyMarkdown text={answer.content} />
          </div>
        ) : null}
        {growing && (answer.content === "" || answer.phase === "cancelling") ? <Thinking phase={answer.phase} /> : null}
        {isLast ? <SpokenAnswer text={answer.content} growing={growing} /> : null}
        {answer.state === "failed" ? <Failure answer={answer} onRetry={() => onRegenerate(message)} /> : null}
        {answer.state === "stopped" ? (
          <p className="mt-3 text-sm text-ink-faint">
            <Trans>You stopped this answer.</Trans>
          </p>
        ) : null}
        {answer.state === "complete" ? <CutNote reason={answer.finishReason} /> : null}
        {growing ? (
          <div className="h-11" />
        ) : (
          <footer className="mt-2 -ml-2 flex min-h-9 flex-wrap items-center gap-x-1">
            {answer.content !== "" ? <CopyButton text={answer.content} label={t`Copy the answer`} /> : null}
            {isLast ? (
              <IconButton size="sm" label={t`Answer again`} onClick={() => onRegenerate(message)}>
                <RotateCcwIcon className="size-4" />
              </IconButton>
            ) : null}
            <Facts model={message.model} usage={answer.usage} />
          </footer>
        )}
      </div>
    </article>
  );
});

function Facts({ model, usage }: Pick<Message, "model" | "usage">) {
  const { t } = useLingui();
  const spent = usage ? formatNumber((usage.prompt_tokens ?? 0) + (usage.completion_tokens ?? 0)) : undefined;
  const details = usage ? t`${formatNumber(usage.prompt_tokens ?? 0)} in, ${formatNumber(usage.completion_tokens ?? 0)} out` : undefined;
  const facts = [model?.split("/").pop(), spent === undefined ? undefined : t`${spent} tokens`].filter(Boolean);
  if (facts.length === 0) return null;
  return (
    <p title={details} className="px-2 text-xs text-ink-faint">
      {facts.join(" · ")}
    </p>
  );
}

function Failure({ answer, onRetry }: { answer: Answer; onRetry: () => Promise<void> }) {
  const reason = answer.error ? (wordsFor(answer.error.code) ?? answer.error.message) : undefined;
  return (
    <div role="alert" className="mt-3 flex flex-wrap items-center gap-3 rounded-2xl bg-error-soft px-4 py-3 text-sm text-error-text">
      <CircleAlertIcon className="size-5 shrink-0" />
      <div className="min-w-0 flex-1">
        <p className="font-medium">
          <Trans>The answer could not be finished.</Trans>
        </p>
        {reason ? <p className="mt-0.5 wrap-anywhere opacity-90">{reason}</p> : null}
      </div>
      <Button variant="outline" size="sm" icon={<RotateCcwIcon className="size-4" />} onClick={onRetry}>
        <Trans>Try again</Trans>
      </Button>
    </div>
  );
}
