import { classNames } from "@ai-orchestra/ui/class-names.ts";
import { CheckIcon } from "@ai-orchestra/ui/icons";
import { useLingui } from "@lingui/react/macro";

export const SHORTEST_PASSWORD = 8;
export const LONGEST_PASSWORD = 256;

/** Length is what makes a password strong; nothing else is demanded. */
export function PasswordHints({ password, username }: { password: string; username: string }) {
  const { t } = useLingui();
  const length = Array.from(password).length;
  const hints = [
    { met: length >= SHORTEST_PASSWORD, text: t`At least 8 characters` },
    { met: length >= 14, text: t`14 or more is better: a short sentence is easy to remember` },
    {
      met: length > 0 && (username === "" || !password.toLowerCase().includes(username.toLowerCase())),
      text: t`Does not contain your user name`,
    },
  ];
  return (
    <ul className="-mt-2 flex flex-col gap-1 text-[0.8125rem]">
      {hints.map((hint) => (
        <li key={hint.text} className={classNames("flex items-start gap-2 transition-colors", hint.met ? "text-success-text" : "text-ink-faint")}>
          <span aria-hidden="true" className="mt-0.5 flex size-4 shrink-0 items-center justify-center">
            {hint.met ? <CheckIcon className="size-3.5" /> : <span className="size-1.5 rounded-full bg-current opacity-60" />}
          </span>
          {hint.text}
          {hint.met ? <span className="sr-only">{t`(met)`}</span> : null}
        </li>
      ))}
    </ul>
  );
}
