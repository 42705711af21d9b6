import { listAgents } from "./endpoints/agents.ts";
import type { Agent } from "./schema.ts";
import { noteAgents, useRealtime } from "./stores/realtime.ts";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

/** The agents, read once and kept fresh by the live feed; undefined until the first answer. */
export function useAgents(): { agents: Agent[] | undefined; error: unknown } {
  const query = useQuery({
    queryKey: ["agents"],
    queryFn: async () => {
      const page = await listAgents();
      noteAgents(page.items, Date.now());
      return page.items.length;
    },
  });
  const known = useRealtime((state) => state.agents);
  const agents = useMemo(() => Object.values(known).toSorted((one, other) => one.name.localeCompare(other.name)), [known]);
  return { agents: query.data === undefined ? undefined : agents, error: query.error };
}
