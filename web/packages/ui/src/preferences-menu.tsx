import { useLingui } from "@lingui/react/macro";
import { IconButton } from "./button.tsx";
import { LanguagesIcon, MonitorIcon, MoonIcon, SunIcon } from "./icons.ts";
import { chooseLocale, LOCALES } from "./locale.ts";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "./menu.tsx";
import { chooseTheme, useThemeChoice, type ThemeChoice } from "./theme.ts";

/** Language and theme in one place of the header. */
export function PreferencesMenu() {
  const { t, i18n } = useLingui();
  const theme = useThemeChoice();
  const themes: { id: ThemeChoice; name: string; icon: typeof SunIcon }[] = [
    { id: "system", name: t`As the system`, icon: MonitorIcon },
    { id: "light", name: t`Light`, icon: SunIcon },
    { id: "dark", name: t`Dark`, icon: MoonIcon },
  ];
  return (
    <Menu
      trigger={
        <IconButton label={t`Language and theme`}>
          <LanguagesIcon className="size-[1.125rem]" />
        </IconButton>
      }
    >
      <MenuLabel>{t`Language`}</MenuLabel>
      {LOCALES.map((locale) => (
        <MenuItem key={locale.id} checked={i18n.locale === locale.id} onSelect={() => void chooseLocale(locale.id)}>
          <span lang={locale.id}>{locale.name}</span>
        </MenuItem>
      ))}
      <MenuSeparator />
      <MenuLabel>{t`Theme`}</MenuLabel>
      {themes.map(({ id, name, icon: Icon }) => (
        <MenuItem
          key={id}
          icon={<Icon className="size-4" />}
          checked={theme === id}
          onSelect={() => {
            chooseTheme(id);
          }}
        >
          {name}
        </MenuItem>
      ))}
    </Menu>
  );
}
