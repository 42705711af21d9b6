/** How the live feed is doing; the banner and the status dot read it. */
import { create } from "zustand";

export type ConnectionStatus = "connected" | "connecting" | "disconnected";

interface Connection {
  status: ConnectionStatus;
  /** Milliseconds from asking for the feed to its first byte. */
  latency: number | undefined;
  retryCount: number;
}

export const useConnection = create<Connection>(() => ({ status: "disconnected", latency: undefined, retryCount: 0 }));
