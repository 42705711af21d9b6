import { PHONE, useMedia } from "@ai-orchestra/ui/use-media.ts";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { useLingui } from "@lingui/react/macro";
import { ConversationList } from "./conversation-list.tsx";
import { NewConversation } from "./new-conversation.tsx";

export function ChatIndex() {
  const { t } = useLingui();
  const phone = useMedia(PHONE);
  useTitle(t`Chat`);
  if (!phone) return <NewConversation />;
  return (
    <>
      <h1 className="sr-only">{t`Sessions`}</h1>
      <ConversationList />
    </>
  );
}
