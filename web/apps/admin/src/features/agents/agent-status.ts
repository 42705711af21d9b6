import type { AgentStatus } from "@ai-orchestra/api/schema";
import type { Tone } from "@ai-orchestra/ui/badge";
import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";

export const AGENT_STATUS: Record<AgentStatus, { tone: Tone; text: MessageDescriptor }> = {
  online: { tone: "success", text: msg`Online` },
  busy: { tone: "accent", text: msg`Busy` },
  draining: { tone: "warning", text: msg`Finishing up` },
  quarantined: { tone: "error", text: msg`Quarantined` },
  unhealthy: { tone: "error", text: msg`Unhealthy` },
  offline: { tone: "neutral", text: msg`Offline` },
  never_connected: { tone: "neutral", text: msg`Never connected` },
};
