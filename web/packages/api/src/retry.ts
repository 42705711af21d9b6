/** Waiting between tries: exponential, with full jitter, so that many browsers never come back at once. */

export interface Backoff {
  baseMs: number;
  capMs: number;
}

export const REST_BACKOFF: Backoff = { baseMs: 300, capMs: 4_000 };
export const FEED_BACKOFF: Backoff = { baseMs: 500, capMs: 15_000 };

export function fullJitter(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  const ceiling = Math.min(backoff.capMs, backoff.baseMs * 2 ** attempt);
  return Math.round(random() * ceiling);
}

/** Resolves after `ms`, or at once when the signal is aborted (the caller looks at the signal). */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
