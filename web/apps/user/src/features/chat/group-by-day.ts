import type { Conversation } from "@ai-orchestra/api/schema";
import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";

export interface DayGroup {
  label: MessageDescriptor;
  conversations: Conversation[];
}

const DAY_MS = 86_400_000;

/** Newest first, under the headings people think in. */
export function groupByDay(conversations: readonly Conversation[], now = new Date()): DayGroup[] {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const groups: (DayGroup & { since: number })[] = [
    { label: msg`Today`, since: today, conversations: [] },
    { label: msg`Yesterday`, since: today - DAY_MS, conversations: [] },
    { label: msg`Last 7 days`, since: today - 7 * DAY_MS, conversations: [] },
    { label: msg`Earlier`, since: -Infinity, conversations: [] },
  ];
  for (const conversation of conversations) {
    const at = new Date(conversation.updated_at).getTime();
    groups.find((group) => at >= group.since)?.conversations.push(conversation);
  }
  return groups.filter((group) => group.conversations.length > 0);
}
