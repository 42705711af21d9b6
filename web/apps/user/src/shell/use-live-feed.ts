import { cache } from "@ai-orchestra/api/cache/cache";
import { realtime } from "@ai-orchestra/api/realtime/client";
import { followAgents, followTasks } from "@ai-orchestra/api/realtime/live-state";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

/** Keeps this tab in step with the server's live feed for as long as somebody is signed in. */
export function useLiveFeed(): void {
  const client = useQueryClient();
  useEffect(() => {
    const stops = [
      followAgents(),
      followTasks(),
      realtime.subscribe("conversation.updated", ({ data }) => {
        const { conversation_id: id } = data as { conversation_id?: string };
        void client.invalidateQueries({ queryKey: ["conversations"] });
        void client.invalidateQueries({ queryKey: id ? ["messages", id] : ["messages"] });
        void client.invalidateQueries({ queryKey: id ? ["conversation", id] : ["conversation"] });
      }),
      // Events were missed that nobody can replay: everything on the screen is read again.
      realtime.subscribe("feed.snapshot", () => {
        void client.invalidateQueries();
      }),
    ];
    realtime.connect();
    void cache.prune();
    return () => {
      for (const stop of stops) stop();
      realtime.disconnect();
    };
  }, [client]);
}
