/** What the server's codes mean, in words for people. */
import { msg } from "@lingui/core/macro";

export const PROBLEM_WORDS = {
  invalid_credentials: msg`The user name or the password is wrong.`,
  invalid_link: msg`This link was used, has expired or was replaced. Ask for a new one.`,
  weak_password: msg`This password is too easy to guess. Choose a longer one.`,
  wrong_password: msg`This is not your current password.`,
  username_taken: msg`Somebody has this user name already.`,
  too_many_keys: msg`You have too many keys. Delete one that you no longer need.`,
  conversation_not_found: msg`This session does not exist any more.`,
  turn_in_progress: msg`An answer is still being written. Wait for its end, or stop it.`,
  message_too_long: msg`This message is too long. Send it in several parts.`,
  unknown_model: msg`This model is not available. Choose another one.`,
  model_not_found: msg`This model is not available. Choose another one.`,
  no_default_model: msg`No default model is set. An administrator can choose one in the settings.`,
  name_taken: msg`A provider of this name exists already.`,
  local_provider: msg`The local model can only be switched on and off.`,
  provider_refused_key: msg`The provider refused its key. An administrator can set a new one.`,
  rate_limit_exceeded: msg`The provider is busy. Please try again in a moment.`,
  provider_failed: msg`The model’s provider failed. Please try again.`,
  stream_broken: msg`The provider’s answer broke off. Please try again.`,
  queue_timeout: msg`No agent was free in time. Please try again.`,
};
