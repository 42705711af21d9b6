import { IconButton } from "@ai-orchestra/ui/button";
import { ArrowUpIcon, SquareIcon } from "@ai-orchestra/ui/icons";
import { useLingui } from "@lingui/react/macro";
import { useImperativeHandle, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode, type Ref } from "react";
import { isSendKey } from "./send-key.ts";
import { useDraft } from "./use-draft.ts";

export interface ComposerHandle {
  fill: (text: string) => void;
}

export interface ComposerProps {
  ref?: Ref<ComposerHandle>;
  /** Whose draft is in the box. */
  conversation: string;
  /** False keeps the text in the box. */
  onSend: (content: string) => Promise<boolean>;
  /** There while an answer is being written: the button stops it. */
  onStop?: (() => Promise<void>) | undefined;
  tools?: ReactNode;
  autoFocus?: boolean;
}

/** The server takes 32 KiB. */
const LONGEST = 32_768;

export function Composer({ ref, conversation, onSend, onStop, tools, autoFocus }: ComposerProps) {
  const { t } = useLingui();
  const [text, setText] = useDraft(conversation);
  const [sending, setSending] = useState(false);
  const box = useRef<HTMLTextAreaElement>(null);
  // Lets the box be as high as its text, up to the maximum that its style sets.
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${String(element.scrollHeight)}px`;
  }, [text]);
  useImperativeHandle(ref, () => ({
    fill: (filled) => {
      setText(filled);
      box.current?.focus();
    },
  }));

  const send = async () => {
    const content = text.trim();
    if (content === "" || sending || onStop) return;
    setSending(true);
    setText("");
    const sent = await onSend(content);
    setSending(false);
    if (!sent) setText(content);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isSendKey(event.nativeEvent)) return;
    event.preventDefault();
    void send();
  };

  return (
    <div className="shrink-0 px-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] md:px-6 md:pb-5">
      <div className="mx-auto max-w-3xl rounded-3xl border border-line bg-surface shadow-soft transition-colors focus-within:border-ring">
        <textarea
          ref={box}
          rows={1}
          value={text}
          autoFocus={autoFocus}
          maxLength={LONGEST}
          enterKeyHint="send"
          aria-label={t`Message`}
          placeholder={t`Message AI Orchestra…`}
          onChange={(event) => {
            setText(event.target.value);
          }}
          onKeyDown={onKeyDown}
          className="block max-h-[min(15rem,35dvh)] w-full resize-none bg-transparent px-5 pt-4 pb-1 text-base outline-none!"
        />
        <div className="flex items-center gap-1 px-3 pb-2.5">
          {tools}
          <span className="ml-auto hidden pr-2 text-xs text-ink-faint lg:inline">{t`Enter to send, Shift + Enter for a new line`}</span>
          {onStop ? (
            <IconButton variant="primary" label={t`Stop the answer`} className="ml-auto rounded-full! lg:ml-0" onClick={onStop}>
              <SquareIcon className="size-3.5 fill-current" />
            </IconButton>
          ) : (
            <IconButton variant="primary" label={t`Send`} busy={sending} disabled={text.trim() === ""} className="ml-auto rounded-full! lg:ml-0" onClick={() => void send()}>
              <ArrowUpIcon className="size-5" />
            </IconButton>
          )}
        </div>
      </div>
    </div>
  );
}
