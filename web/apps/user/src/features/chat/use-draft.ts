/** What was typed and not sent survives a change of page or a reload, on this device, for a day. */
import { cache } from "@ai-orchestra/api/cache/cache";
import { useUser } from "@ai-orchestra/api/stores/user";
import { useEffect, useState } from "react";

/** Typing is quicker than a disk needs to hear of it. */
const SAVE_MS = 400;

export function useDraft(conversation: string): [string, (text: string) => void] {
  const [text, setText] = useState<string>();
  const user = useUser((state) => state.profile?.id ?? "nobody");
  const key = `draft/${user}/${conversation}`;

  // Reads what an earlier visit left; what was typed meanwhile wins.
  useEffect(() => {
    let current = true;
    void cache.get<string>("user-data", key).then((kept) => {
      if (current && kept) setText((typed) => typed ?? kept);
    });
    return () => {
      current = false;
    };
  }, [key]);

  // Keeps the disk in step with the box.
  useEffect(() => {
    if (text === undefined) return undefined;
    const timer = setTimeout(() => void (text === "" ? cache.delete("user-data", key) : cache.set("user-data", key, text)), SAVE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [key, text]);

  return [text ?? "", setText];
}
