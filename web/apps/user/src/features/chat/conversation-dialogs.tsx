import { deleteConversation, patchConversation } from "@ai-orchestra/api/endpoints/chat";
import type { Conversation } from "@ai-orchestra/api/schema";
import { Button } from "@ai-orchestra/ui/button";
import { ConfirmDialog } from "@ai-orchestra/ui/confirm-dialog";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { Input } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState, type SubmitEvent } from "react";

interface ConversationDialogProps {
  conversation: Conversation;
  open: boolean;
  onClose: () => void;
}

const LONGEST_TITLE = 200;

export function RenameConversationDialog({ conversation, open, onClose }: ConversationDialogProps) {
  const { t } = useLingui();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const save = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const title = new FormData(event.currentTarget).get("title");
    if (typeof title !== "string" || title.trim() === "") return;
    setBusy(true);
    try {
      await patchConversation(conversation.id, { title: title.trim() });
      await Promise.all([
        client.invalidateQueries({ queryKey: ["conversations"] }),
        client.invalidateQueries({ queryKey: ["conversation", conversation.id] }),
      ]);
      onClose();
    } catch (error) {
      toast.error(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog open={open} onClose={onClose} title={t`Rename the session`} closeLabel={t`Close`}>
      <form onSubmit={(event) => void save(event)} className="flex flex-col gap-6">
        <Input label={t`Title`} name="title" defaultValue={conversation.title ?? ""} maxLength={LONGEST_TITLE} required autoFocus />
        <div className="flex justify-end gap-2">
          <Button variant="outline" onClick={onClose}>
            <Trans>Cancel</Trans>
          </Button>
          <Button type="submit" busy={busy}>
            <Trans>Save</Trans>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export function DeleteConversationDialog({ conversation, open, onClose }: ConversationDialogProps) {
  const { t } = useLingui();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { id: shown } = useParams({ strict: false });
  const remove = async () => {
    try {
      await deleteConversation(conversation.id);
      onClose();
      if (shown === conversation.id) await navigate({ to: "/chat" });
      client.removeQueries({ queryKey: ["messages", conversation.id] });
      await client.invalidateQueries({ queryKey: ["conversations"] });
      toast.success(t`The session was deleted.`);
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  const title = conversation.title ?? t`New session`;
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      onConfirm={remove}
      title={t`Delete this session?`}
      description={<Trans>“{title}” and all its messages will be gone for good.</Trans>}
      confirmLabel={t`Delete`}
      cancelLabel={t`Cancel`}
    />
  );
}
