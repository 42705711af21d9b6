import { patchMe } from "@ai-orchestra/api/endpoints/identity";
import { meQuery } from "@ai-orchestra/api/session";
import { nameOf, useUser } from "@ai-orchestra/api/stores/user";
import { Avatar } from "@ai-orchestra/ui/avatar";
import { Button } from "@ai-orchestra/ui/button";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { Input, Select } from "@ai-orchestra/ui/input";
import { chooseLocale, LOCALES } from "@ai-orchestra/ui/locale.ts";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { chooseTheme, useThemeChoice, type ThemeChoice } from "@ai-orchestra/ui/theme.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";

export function ProfileTab() {
  return (
    <div className="flex flex-col gap-6">
      <ProfileForm />
      <Appearance />
    </div>
  );
}

function ProfileForm() {
  const { t } = useLingui();
  const client = useQueryClient();
  const profile = useUser((user) => user.profile);
  const [busy, setBusy] = useState(false);
  if (!profile) return null;
  const save = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = new FormData(event.currentTarget).get("display_name");
    setBusy(true);
    try {
      await patchMe({ display_name: typeof name === "string" ? name.trim() : "" });
      await client.invalidateQueries({ queryKey: meQuery.queryKey });
      toast.success(t`Your profile was saved.`);
    } catch (error) {
      toast.error(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  const name = nameOf(profile);
  return (
    <Card>
      <CardHeader title={t`Profile`} description={t`How you appear here.`} />
      <CardBody>
        <div className="mb-6 flex items-center gap-4">
          <Avatar name={name} src={profile.avatar_url} size="lg" />
          <div className="min-w-0">
            <p className="truncate font-medium">{name}</p>
            <p className="truncate text-sm text-ink-faint">@{profile.username}</p>
          </div>
        </div>
        <form onSubmit={(event) => void save(event)} className="flex flex-col gap-5">
          <Input label={t`Display name`} name="display_name" defaultValue={profile.display_name} maxLength={100} autoComplete="name" hint={t`Empty: your user name is shown.`} />
          <Button type="submit" busy={busy} className="self-start">
            <Trans>Save</Trans>
          </Button>
        </form>
      </CardBody>
    </Card>
  );
}

function Appearance() {
  const { t, i18n } = useLingui();
  const theme = useThemeChoice();
  return (
    <Card>
      <CardHeader title={t`Appearance`} description={t`Kept in this browser.`} />
      <CardBody className="grid gap-5 sm:grid-cols-2">
        <Select label={t`Language`} value={i18n.locale} onChange={(event) => void chooseLocale(event.target.value === "zh-CN" ? "zh-CN" : "en")}>
          {LOCALES.map((locale) => (
            <option key={locale.id} value={locale.id} lang={locale.id}>
              {locale.name}
            </option>
          ))}
        </Select>
        <Select
          label={t`Theme`}
          value={theme}
          onChange={(event) => {
            chooseTheme(event.target.value as ThemeChoice);
          }}
        >
          <option value="system">{t`As the system`}</option>
          <option value="light">{t`Light`}</option>
          <option value="dark">{t`Dark`}</option>
        </Select>
      </CardBody>
    </Card>
  );
}
