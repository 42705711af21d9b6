import type { InvitedUser } from "@ai-orchestra/api/schema";
import { nameOf } from "@ai-orchestra/api/stores/user";
import { Button } from "@ai-orchestra/ui/button";
import { CopyButton } from "@ai-orchestra/ui/copy-button";
import { Trans, useLingui } from "@lingui/react/macro";

/** The token stands in the fragment, which browsers send to no server and no log keeps. */
const linkOf = (token: string) => `${location.origin}/setup#token=${token}`;

export function InviteLink({ invited, onDone }: { invited: InvitedUser; onDone: () => void }) {
  const { t } = useLingui();
  const name = nameOf(invited);
  const link = linkOf(invited.link_token ?? "");
  return (
    <div className="flex flex-col gap-5">
      <p className="text-sm text-ink-soft">
        <Trans>Send {name} this link. It works once, and lets them choose a password.</Trans>
      </p>
      <div className="flex items-start gap-2 rounded-xl border border-line bg-sunken py-2 pr-2 pl-4">
        <code className="min-w-0 flex-1 py-1 font-mono text-[0.8125rem] wrap-anywhere">{link}</code>
        <CopyButton text={link} label={t`Copy the link`} />
      </div>
      <Button className="self-end" onClick={onDone}>
        <Trans>Done</Trans>
      </Button>
    </div>
  );
}
