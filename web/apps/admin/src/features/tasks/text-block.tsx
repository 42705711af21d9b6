import { CopyButton } from "@ai-orchestra/ui/copy-button";
import { useLingui } from "@lingui/react/macro";

export function TextBlock({ title, value }: { title: string; value: unknown }) {
  const { t } = useLingui();
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <section>
      <div className="mb-1 flex items-center justify-between">
        <h3 className="text-sm font-medium">{title}</h3>
        <CopyButton text={text} label={t`Copy`} />
      </div>
      <pre tabIndex={0} className="max-h-80 overflow-auto rounded-xl border border-line bg-sunken p-4 font-mono text-[0.8125rem] leading-relaxed whitespace-pre-wrap wrap-anywhere">
        {text}
      </pre>
    </section>
  );
}
