/** The server may end the login at any time; then the page goes to the door and comes back afterwards. */
import { useEffect } from "react";
import { queryClient } from "./query-client.ts";
import { onUnauthorized } from "./rest.ts";
import { meQuery } from "./session.ts";

/** `leave` looks at the page again, now that nobody is signed in; the same function each time. */
export function useEndedLogin(leave: () => Promise<void>): void {
  useEffect(
    () =>
      onUnauthorized(() => {
        // Nobody was signed in: the page is at the door already.
        if (!queryClient.getQueryData(meQuery.queryKey)) return;
        void import("./end-session.ts").then(({ endSession }) => endSession(queryClient, "expired")).then(leave);
      }),
    [leave],
  );
}
