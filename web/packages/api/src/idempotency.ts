/** One key per intention of the user: a retry of the same click sends the same key, so it takes effect once. */
export function newIdempotencyKey(): string {
  return crypto.randomUUID();
}
