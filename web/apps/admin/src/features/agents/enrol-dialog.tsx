import { enrolAgent } from "@ai-orchestra/api/endpoints/agents";
import type { Enrolment } from "@ai-orchestra/api/schema";
import { Button } from "@ai-orchestra/ui/button";
import { CopyButton } from "@ai-orchestra/ui/copy-button";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { formatTime } from "@ai-orchestra/ui/format.ts";
import { Input } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type SubmitEvent } from "react";

export function EnrolDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useLingui();
  const [enrolment, setEnrolment] = useState<Enrolment>();
  const close = () => {
    setEnrolment(undefined);
    onClose();
  };
  return (
    <Dialog open={open} onClose={close} title={t`Add an agent`} closeLabel={t`Close`}>
      {enrolment ? <Command enrolment={enrolment} onDone={close} /> : <Form onMade={setEnrolment} />}
    </Dialog>
  );
}

function Form({ onMade }: { onMade: (enrolment: Enrolment) => void }) {
  const { t } = useLingui();
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = new FormData(event.currentTarget).get("name");
    setBusy(true);
    try {
      onMade(await enrolAgent(typeof name === "string" && name.trim() !== "" ? name.trim() : undefined));
    } catch (error) {
      toast.error(problemText(error));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-5">
      <Input label={t`Name (optional)`} name="name" placeholder="research-1" maxLength={100} autoFocus hint={t`Empty: the agent brings its own.`} />
      <Button type="submit" busy={busy} className="self-end">
        <Trans>Make a command</Trans>
      </Button>
    </form>
  );
}

function Command({ enrolment, onDone }: { enrolment: Enrolment; onDone: () => void }) {
  const { t } = useLingui();
  const until = formatTime(enrolment.expires_at);
  return (
    <div className="flex flex-col gap-5">
      <p className="text-sm text-ink-soft">
        <Trans>Run this on the agent’s machine. It works once, until {until}.</Trans>
      </p>
      <div className="flex items-start gap-2 rounded-xl border border-line bg-sunken py-2 pr-2 pl-4">
        <code className="min-w-0 flex-1 py-1 font-mono text-[0.8125rem] wrap-anywhere">{enrolment.command}</code>
        <CopyButton text={enrolment.command} label={t`Copy the command`} />
      </div>
      <Button className="self-end" onClick={onDone}>
        <Trans>Done</Trans>
      </Button>
    </div>
  );
}
