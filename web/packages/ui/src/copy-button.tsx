import { IconButton } from "./button.tsx";
import { CheckIcon, CopyIcon } from "./icons.ts";
import { toast } from "./toast.tsx";
import { useLingui } from "@lingui/react/macro";
import { useEffect, useState } from "react";

const SHOWN_MS = 1_600;

export function CopyButton({ text, label }: { text: string; label: string }) {
  const { t } = useLingui();
  const [copied, setCopied] = useState(false);
  // The tick goes by itself.
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => {
      setCopied(false);
    }, SHOWN_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [copied]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      toast.error(t`The browser did not allow copying. Select the text and copy it by hand.`);
    }
  };
  return (
    <IconButton size="sm" label={copied ? t`Copied` : label} onClick={() => void copy()}>
      {copied ? <CheckIcon className="size-4 text-success-text" /> : <CopyIcon className="size-4" />}
    </IconButton>
  );
}
