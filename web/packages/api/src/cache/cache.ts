/**
 * What was read lately, so that a page shows something before the network answers: memory (100 entries, 5 minutes)
 * over IndexedDB (24 hours). It only ever speeds things up: a browser without IndexedDB works the same, slower.
 */
import { openDB, type IDBPDatabase } from "idb";
import { Lru } from "./lru.ts";

export type StoreName = "api-cache" | "user-data";

export const MEMORY_ENTRIES = 100;
export const MEMORY_LIFE_MS = 5 * 60_000;
export const DISK_LIFE_MS = 24 * 3_600_000;

interface Stored {
  value: unknown;
  storedAt: number;
}

export class Cache {
  readonly #memory: Lru;
  readonly #now: () => number;
  readonly #database: Promise<IDBPDatabase | undefined>;

  constructor(name = "ai-orchestra", now: () => number = Date.now) {
    this.#now = now;
    this.#memory = new Lru(MEMORY_ENTRIES, MEMORY_LIFE_MS, now);
    this.#database = openDatabase(name);
  }

  async get<Value>(store: StoreName, key: string): Promise<Value | undefined> {
    const known = this.#memory.get(`${store}/${key}`);
    if (known !== undefined) return known as Value;
    const entry = await this.#withDatabase((database) => database.get(store, key) as Promise<Stored | undefined>);
    if (!entry || this.#now() - entry.storedAt > DISK_LIFE_MS) return undefined;
    this.#memory.set(`${store}/${key}`, entry.value);
    return entry.value as Value;
  }

  async set(store: StoreName, key: string, value: unknown): Promise<void> {
    this.#memory.set(`${store}/${key}`, value);
    const entry: Stored = { value, storedAt: this.#now() };
    await this.#withDatabase((database) => database.put(store, entry, key));
  }

  async delete(store: StoreName, key: string): Promise<void> {
    this.#memory.delete(`${store}/${key}`);
    await this.#withDatabase((database) => database.delete(store, key));
  }

  /** At sign-out: nothing of one person is left for the next. */
  async clear(): Promise<void> {
    this.#memory.clear();
    await this.#withDatabase(async (database) => {
      await Promise.all([database.clear("api-cache"), database.clear("user-data")]);
    });
  }

  /** Removes what has outlived its day from the disk. */
  async prune(): Promise<void> {
    await this.#withDatabase(async (database) => {
      for (const store of ["api-cache", "user-data"] as const) {
        for (let cursor = await database.transaction(store, "readwrite").store.openCursor(); cursor; cursor = await cursor.continue()) {
          const { storedAt } = cursor.value as Stored;
          if (this.#now() - storedAt > DISK_LIFE_MS) await cursor.delete();
        }
      }
    });
  }

  async #withDatabase<Value>(work: (database: IDBPDatabase) => Promise<Value>): Promise<Value | undefined> {
    try {
      const database = await this.#database;
      return database ? await work(database) : undefined;
    } catch {
      // A full or broken disk costs speed only.
      return undefined;
    }
  }
}

async function openDatabase(name: string): Promise<IDBPDatabase | undefined> {
  try {
    return await openDB(name, 1, {
      upgrade(database) {
        database.createObjectStore("api-cache");
        database.createObjectStore("user-data");
      },
    });
  } catch {
    return undefined;
  }
}

export const cache = new Cache();
