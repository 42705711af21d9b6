/** What the server's codes mean, in words for people. */
import { msg } from "@lingui/core/macro";

export const PROBLEM_WORDS = {
  username_taken: msg`Somebody has this user name already.`,
  last_administrator: msg`This is the last active administrator. Make somebody else one first.`,
};
