/** Some browsers report the Enter that ends a composition as a plain key press, but with this code. */
const COMPOSING_KEY_CODE = 229;

type Key = Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey" | "isComposing" | "keyCode">;

/** Enter sends; Shift + Enter is a new line; Enter that chooses a word in an input method never sends. */
export function isSendKey(event: Key): boolean {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only sign of it in Safari
  if (event.isComposing || event.keyCode === COMPOSING_KEY_CODE) return false;
  return event.key === "Enter" && !event.shiftKey && !event.altKey;
}
