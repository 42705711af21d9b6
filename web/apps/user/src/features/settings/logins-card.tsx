import { listLogins, revokeLogin } from "@ai-orchestra/api/endpoints/identity";
import type { Login } from "@ai-orchestra/api/schema";
import { Badge } from "@ai-orchestra/ui/badge";
import { Button } from "@ai-orchestra/ui/button";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { formatRelative } from "@ai-orchestra/ui/format.ts";
import { MonitorIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { deviceName } from "./device-name.ts";

export function LoginsCard() {
  const { t } = useLingui();
  const { data, error } = useQuery({ queryKey: ["logins"], queryFn: async () => (await listLogins()).items });
  return (
    <Card>
      <CardHeader title={t`Where you are signed in`} description={t`End a sign-in that you do not know, then change your password.`} />
      <CardBody>
        {error ? <p className="text-sm text-ink-soft">{problemText(error)}</p> : null}
        {!data && !error ? <SkeletonRows rows={2} /> : null}
        <ul className="flex flex-col divide-y divide-line">{data?.map((login) => <Row key={login.id} login={login} />)}</ul>
      </CardBody>
    </Card>
  );
}

function Row({ login }: { login: Login }) {
  const { t } = useLingui();
  const client = useQueryClient();
  const device = deviceName(login.user_agent) ?? t`Unknown device`;
  const end = async () => {
    try {
      await revokeLogin(login.id);
      await client.invalidateQueries({ queryKey: ["logins"] });
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  return (
    <li className="flex items-center gap-4 py-3 first:pt-0 last:pb-0">
      <span className="flex size-10 shrink-0 items-center justify-center rounded-xl bg-hover text-ink-soft">
        <MonitorIcon className="size-5" />
      </span>
      <div className="min-w-0 flex-1">
        <p className="truncate text-sm font-medium">{device}</p>
        <p className="truncate text-[0.8125rem] text-ink-faint">{[login.ip, formatRelative(login.last_seen_at)].filter(Boolean).join(" · ")}</p>
      </div>
      {login.current ? (
        <Badge tone="success" dot>
          <Trans>This browser</Trans>
        </Badge>
      ) : (
        <Button variant="outline" size="sm" onClick={end} aria-label={t`End the sign-in on ${device}`}>
          <Trans>End</Trans>
        </Button>
      )}
    </li>
  );
}
