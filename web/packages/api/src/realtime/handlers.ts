/** Who listens to which event type. A handler that throws is reported and never keeps the others from hearing. */

export interface LiveEvent {
  type: string;
  data: unknown;
  timestamp: string;
  /** Milliseconds since the epoch when this browser received it. */
  receivedAt: number;
}

export type Handler = (event: LiveEvent) => void;

export class Handlers {
  readonly #byType = new Map<string, Set<Handler>>();

  get types(): readonly string[] {
    return [...this.#byType.keys()];
  }

  /** A type may be a prefix: `agent.*` hears every event that begins with `agent.`. */
  add(type: string, handler: Handler): () => void {
    const handlers = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, handlers.add(handler));
    return () => {
      handlers.delete(handler);
      if (handlers.size === 0) this.#byType.delete(type);
    };
  }

  dispatch(event: LiveEvent): void {
    for (const [type, handlers] of this.#byType) {
      if (!matches(type, event.type)) continue;
      for (const handler of handlers) {
        try {
          handler(event);
        } catch (error) {
          reportError(error);
        }
      }
    }
  }
}

function matches(wanted: string, type: string): boolean {
  return wanted === type || (wanted.endsWith(".*") && type.startsWith(wanted.slice(0, -1)));
}
