import "./prose.css";
import { useMay } from "@ai-orchestra/api/stores/user";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { MessageCircleIcon } from "@ai-orchestra/ui/icons";
import { PHONE, useMedia } from "@ai-orchestra/ui/use-media.ts";
import { useLingui } from "@lingui/react/macro";
import { Outlet } from "@tanstack/react-router";
import { useEffect } from "react";
import { ConversationList } from "./conversation-list.tsx";
import { preloadMarkdown } from "./lazy-markdown.tsx";

/** On a wide screen the list stands beside the conversation; on a phone each has the whole screen. */
export function ChatLayout() {
  const { t } = useLingui();
  const phone = useMedia(PHONE);
  const mayChat = useMay("chat:use");
  useEffect(preloadMarkdown, []);
  if (!mayChat) {
    return (
      <EmptyState
        icon={<MessageCircleIcon className="size-6" />}
        title={t`Chat is not open to you`}
        description={t`Your role may look but not chat. Ask an administrator to change it.`}
      />
    );
  }
  if (phone) return <Outlet />;
  return (
    <div className="flex h-[calc(100dvh-3.5rem-1px)]">
      <aside aria-label={t`Sessions`} className="flex w-76 shrink-0 flex-col border-r border-line bg-sunken/60">
        <ConversationList />
      </aside>
      <div className="min-w-0 flex-1">
        <Outlet />
      </div>
    </div>
  );
}
