import type { Role } from "@ai-orchestra/api/schema";
import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";

export const ROLES: Record<Role, MessageDescriptor> = {
  admin: msg`Administrator`,
  member: msg`Member`,
  viewer: msg`Viewer`,
};

export function asRole(value: unknown): Role {
  return value === "admin" || value === "viewer" ? value : "member";
}
