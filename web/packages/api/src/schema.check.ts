/**
 * Compiles only while the shapes of schema.ts fit what the server describes. They are written by hand because they
 * say more than the description does (which words a state can be), but no field may differ or be invented.
 */
import type { components } from "./openapi.ts";
import type * as ours from "./schema.ts";

type Server = components["schemas"];

/** Every field of ours is one of theirs, and may hold nothing that theirs may not. */
type Fits<Ours extends Pick<Theirs, keyof Ours & keyof Theirs>, Theirs> =
  Exclude<keyof Ours, keyof Theirs> extends never ? true : Exclude<keyof Ours, keyof Theirs>;

type Checks = [
  Fits<ours.User, Server["UserView"]>,
  Fits<ours.Me, Server["MeView"]>,
  Fits<ours.InvitedUser, Server["InvitedUserView"]>,
  Fits<ours.Session, Server["SessionView"]>,
  Fits<ours.OneTimeLink, Server["LinkView"]>,
  Fits<ours.Login, Server["LoginView"]>,
  Fits<ours.ApiKey, Server["KeyView"]>,
  Fits<ours.NewApiKey, Server["NewKeyView"]>,
  Fits<ours.AuditEntry, Server["AuditEntry"]>,
  Fits<ours.Agent, Server["Agent"]>,
  Fits<ours.Enrolment, Server["EnrolmentView"]>,
  Fits<ours.Task, Server["TaskView"]>,
  Fits<ours.TaskDetail, Server["TaskDetail"]>,
  Fits<ours.Attempt, Server["AttemptView"]>,
  Fits<ours.Conversation, Server["ConversationView"]>,
  Fits<ours.Message, Server["MessageView"]>,
  Fits<ours.Turn, Server["TurnView"]>,
  Fits<ours.Provider, Server["ProviderView"]>,
  Fits<ours.ProviderTest, Server["ProbeView"]>,
  Fits<ours.Model, Server["ModelView"]>,
];

type AllTrue<Results extends readonly true[]> = Results;
export type SchemaFits = AllTrue<Checks>;
