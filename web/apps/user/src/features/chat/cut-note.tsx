import { Trans } from "@lingui/react/macro";

/** Says quietly that an answer is no whole one: the model had no more room for it. */
export function CutNote({ reason }: { reason: string | null }) {
  if (reason !== "length") return null;
  return (
    <p className="mt-3 text-sm text-ink-faint">
      <Trans>The answer was cut: the model had no more room.</Trans>
    </p>
  );
}
