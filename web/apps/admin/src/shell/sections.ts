import { BotIcon, LayoutDashboardIcon, ListChecksIcon, ScrollTextIcon, UsersRoundIcon } from "@ai-orchestra/ui/icons";
import { msg } from "@lingui/core/macro";

export const SECTIONS = [
  { to: "/", label: msg`Overview`, icon: LayoutDashboardIcon },
  { to: "/agents", label: msg`Agents`, icon: BotIcon },
  { to: "/tasks", label: msg`Tasks`, icon: ListChecksIcon },
  { to: "/users", label: msg`Users`, icon: UsersRoundIcon },
  { to: "/audit", label: msg`Audit`, icon: ScrollTextIcon },
] as const;
