import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";

const SUGGESTIONS: readonly { title: MessageDescriptor; prompt: MessageDescriptor }[] = [
  { title: msg`Explain something`, prompt: msg`Explain how a message queue works, with an everyday example.` },
  { title: msg`Write code`, prompt: msg`Write a Python function that finds the most frequent words of a text, and explain it.` },
  { title: msg`Improve a text`, prompt: msg`Make this text clearer and shorter without losing anything: ` },
  { title: msg`Make a plan`, prompt: msg`Plan a one-week introduction to a new programming language, day by day.` },
];

/** A choice goes into the composer, not to the model: it can still be changed. */
export function Suggestions({ onChoose }: { onChoose: (prompt: string) => void }) {
  const { i18n } = useLingui();
  return (
    <ul className="mt-8 grid w-full max-w-2xl gap-3 sm:grid-cols-2">
      {SUGGESTIONS.map(({ title, prompt }) => (
        <li key={title.id}>
          <button
            type="button"
            onClick={() => {
              onChoose(i18n._(prompt));
            }}
            className="pressable h-full w-full rounded-2xl border border-line bg-surface px-4 py-3.5 text-left hover:border-line-strong hover:bg-hover"
          >
            <span className="block text-sm font-medium">{i18n._(title)}</span>
            <span className="mt-0.5 line-clamp-2 text-[0.8125rem] text-ink-faint">{i18n._(prompt)}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
