/** Where to go after sign-in: only addresses of this site, never one that a link smuggled in. */
export function safeNext(next: string | undefined): string {
  if (!next?.startsWith("/") || next.startsWith("//") || next.startsWith("/\\") || next.startsWith("/login")) return "/";
  return next;
}

/** The administration is an app of its own: going there is a page load. */
export function isOtherApp(path: string): boolean {
  return path === "/admin" || path.startsWith("/admin/");
}
