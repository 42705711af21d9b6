/** An actor or a target in words: the server writes a text, or an object with a kind and a name or an id. */
export function named(who: unknown): string {
  if (typeof who === "string") return who;
  if (typeof who !== "object" || who === null) return "";
  const { kind, type, name, username, id } = who as Record<string, unknown>;
  const words = [kind ?? type, name ?? username ?? id];
  return words.filter((word) => typeof word === "string").join(" ");
}
