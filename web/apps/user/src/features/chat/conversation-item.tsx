import type { Conversation } from "@ai-orchestra/api/schema";
import { IconButton } from "@ai-orchestra/ui/button";
import { EllipsisIcon, PencilIcon, Trash2Icon } from "@ai-orchestra/ui/icons";
import { Menu, MenuItem } from "@ai-orchestra/ui/menu";
import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { DeleteConversationDialog, RenameConversationDialog } from "./conversation-dialogs.tsx";

export function ConversationItem({ conversation }: { conversation: Conversation }) {
  const { t } = useLingui();
  const [dialog, setDialog] = useState<"rename" | "delete">();
  const title = conversation.title ?? t`New session`;
  const close = () => {
    setDialog(undefined);
  };
  return (
    <li className="group relative flex items-center">
      <Link
        to="/chat/$id"
        params={{ id: conversation.id }}
        className="pressable min-w-0 flex-1 rounded-xl py-2 pr-11 pl-3 text-sm text-ink-soft hover:bg-hover hover:text-ink aria-[current=page]:bg-surface aria-[current=page]:font-medium aria-[current=page]:text-ink aria-[current=page]:shadow-soft max-md:py-3"
      >
        <span className="block truncate">{title}</span>
        {conversation.last_message_preview ? (
          <span className="mt-0.5 block truncate text-[0.8125rem] font-normal text-ink-faint md:hidden">{conversation.last_message_preview}</span>
        ) : null}
      </Link>
      <div className="absolute right-1 opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 has-data-[state=open]:opacity-100 pointer-coarse:opacity-100">
        <Menu
          trigger={
            <IconButton size="sm" label={t`Options of “${title}”`}>
              <EllipsisIcon className="size-4" />
            </IconButton>
          }
        >
          <MenuItem
            icon={<PencilIcon className="size-4" />}
            onSelect={() => {
              setDialog("rename");
            }}
          >
            {t`Rename`}
          </MenuItem>
          <MenuItem
            danger
            icon={<Trash2Icon className="size-4" />}
            onSelect={() => {
              setDialog("delete");
            }}
          >
            {t`Delete`}
          </MenuItem>
        </Menu>
      </div>
      <RenameConversationDialog conversation={conversation} open={dialog === "rename"} onClose={close} />
      <DeleteConversationDialog conversation={conversation} open={dialog === "delete"} onClose={close} />
    </li>
  );
}
