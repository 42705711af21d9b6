/** The memory half of the cache: at most `capacity` entries, each for at most `lifeMs`; the least used goes first. */

interface Entry {
  value: unknown;
  storedAt: number;
}

export class Lru {
  readonly #entries = new Map<string, Entry>();
  readonly #capacity: number;
  readonly #lifeMs: number;
  readonly #now: () => number;

  constructor(capacity: number, lifeMs: number, now: () => number = Date.now) {
    this.#capacity = capacity;
    this.#lifeMs = lifeMs;
    this.#now = now;
  }

  get(key: string): unknown {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    if (this.#now() - entry.storedAt > this.#lifeMs) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: unknown): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, storedAt: this.#now() });
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > this.#capacity && !oldest.done) this.#entries.delete(oldest.value);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
