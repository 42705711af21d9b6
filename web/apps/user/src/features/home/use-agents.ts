import { listAgents } from "@ai-orchestra/api/endpoints/agents";
import type { Agent } from "@ai-orchestra/api/schema";
import { noteAgents, useRealtime } from "@ai-orchestra/api/stores/realtime";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

/** The agents, read once and kept fresh by the live feed; undefined until the first answer. */
export function useAgents(): { agents: Agent[] | undefined; error: unknown } {
  const query = useQuery({
    queryKey: ["agents"],
    queryFn: async () => {
      const page = await listAgents();
      noteAgents(page.items, Date.now());
      return page.items.map((agent) => agent.id);
    },
  });
  const known = useRealtime((state) => state.agents);
  const agents = useMemo(() => Object.values(known).toSorted((one, other) => one.name.localeCompare(other.name)), [known]);
  return { agents: query.data ? agents : undefined, error: query.error };
}
