import type { Priority, TaskState } from "@ai-orchestra/api/schema";
import type { Tone } from "@ai-orchestra/ui/badge";
import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";

export const TASK_STATE: Record<TaskState, { tone: Tone; text: MessageDescriptor }> = {
  queued: { tone: "warning", text: msg`Queued` },
  running: { tone: "accent", text: msg`Running` },
  waiting: { tone: "neutral", text: msg`Waiting` },
  cancelling: { tone: "warning", text: msg`Being cancelled` },
  succeeded: { tone: "success", text: msg`Succeeded` },
  failed: { tone: "error", text: msg`Failed` },
  cancelled: { tone: "neutral", text: msg`Cancelled` },
};

export const PRIORITY: Record<Priority, MessageDescriptor> = {
  low: msg`Low`,
  normal: msg`Normal`,
  high: msg`High`,
  critical: msg`Critical`,
};
