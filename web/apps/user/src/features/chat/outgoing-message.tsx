import { Button } from "@ai-orchestra/ui/button";
import { CircleAlertIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { Thinking } from "./thinking.tsx";
import { dropOutgoing, type Outgoing } from "./outgoing.ts";
import { BUBBLE } from "./user-message.tsx";

export interface OutgoingMessageProps {
  conversation: string;
  message: Outgoing;
  onResend: (message: Outgoing) => Promise<void>;
}

/** The reader's message before the server has it: there at once, and honest when it did not arrive. */
export function OutgoingMessage({ conversation, message, onResend }: OutgoingMessageProps) {
  const { t } = useLingui();
  const failed = message.error !== undefined;
  return (
    <>
      <article aria-label={t`You`} className="flex flex-col items-end gap-2">
        <div className={BUBBLE}>{message.content}</div>
        {failed ? (
          <div role="alert" className="flex max-w-[85%] flex-wrap items-center justify-end gap-2 text-sm text-error-text">
            <CircleAlertIcon className="size-4 shrink-0" />
            <span>{problemText(message.error)}</span>
            <Button variant="outline" size="sm" onClick={() => onResend(message)}>
              <Trans>Send again</Trans>
            </Button>
            <Button
              variant="ghost"
              size="sm"
              onClick={() => {
                dropOutgoing(conversation);
              }}
            >
              <Trans>Discard</Trans>
            </Button>
          </div>
        ) : null}
      </article>
      {failed ? null : <Thinking phase="queued" />}
    </>
  );
}
