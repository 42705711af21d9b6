import type { Message } from "@ai-orchestra/api/schema";
import { Button, IconButton } from "@ai-orchestra/ui/button";
import { PencilIcon } from "@ai-orchestra/ui/icons";
import { Trans, useLingui } from "@lingui/react/macro";
import { memo, useState } from "react";
import { CopyButton } from "@ai-orchestra/ui/copy-button";
import { isSendKey } from "./send-key.ts";

export interface UserMessageProps {
  message: Message;
  onEdit: (message: Message, content: string) => Promise<boolean>;
}

export const BUBBLE = "max-w-[85%] rounded-3xl rounded-br-lg bg-accent-soft px-5 py-2.5 text-ink whitespace-pre-wrap wrap-anywhere";

export const UserMessage = memo(function UserMessage({ message, onEdit }: UserMessageProps) {
  const { t } = useLingui();
  const [editing, setEditing] = useState(false);
  if (editing) {
    return (
      <MessageEditor
        content={message.content}
        onCancel={() => {
          setEditing(false);
        }}
        onSave={async (content) => {
          if (content === message.content || (await onEdit(message, content))) setEditing(false);
        }}
      />
    );
  }
  return (
    <article aria-label={t`You`} className="group -mb-5 flex flex-col items-end gap-1 [contain-intrinsic-size:auto_6rem] [content-visibility:auto]">
      <div className={BUBBLE}>{message.content}</div>
      <div className="flex items-center opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100">
        {message.edited_at ? (
          <span className="pr-2 text-xs text-ink-faint">
            <Trans>Edited</Trans>
          </span>
        ) : null}
        <CopyButton text={message.content} label={t`Copy the message`} />
        <IconButton
          size="sm"
          label={t`Edit the message`}
          onClick={() => {
            setEditing(true);
          }}
        >
          <PencilIcon className="size-4" />
        </IconButton>
      </div>
    </article>
  );
});

interface MessageEditorProps {
  content: string;
  onSave: (content: string) => Promise<void>;
  onCancel: () => void;
}

function MessageEditor({ content, onSave, onCancel }: MessageEditorProps) {
  const { t } = useLingui();
  const [text, setText] = useState(content);
  const [busy, setBusy] = useState(false);
  const save = async () => {
    if (text.trim() === "" || busy) return;
    setBusy(true);
    await onSave(text.trim());
    setBusy(false);
  };
  return (
    <div className="flex flex-col gap-3 rounded-3xl border border-line bg-surface p-4 shadow-soft focus-within:border-ring">
      <textarea
        value={text}
        autoFocus
        rows={Math.min(10, text.split("\n").length + 1)}
        aria-label={t`Edit the message`}
        onChange={(event) => {
          setText(event.target.value);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          if (!isSendKey(event.nativeEvent)) return;
          event.preventDefault();
          void save();
        }}
        className="w-full resize-none bg-transparent px-1 text-base outline-none!"
      />
      <div className="flex flex-wrap items-center justify-end gap-2">
        <p className="mr-auto px-1 text-xs text-ink-faint">
          <Trans>What came after it will be replaced.</Trans>
        </p>
        <Button variant="ghost" size="sm" onClick={onCancel}>
          <Trans>Cancel</Trans>
        </Button>
        <Button size="sm" busy={busy} disabled={text.trim() === ""} onClick={() => void save()}>
          <Trans>Send again</Trans>
        </Button>
      </div>
    </div>
  );
}
