import { ChevronDownIcon, SparklesIcon } from "@ai-orchestra/ui/icons";
import { Menu, MenuItem, MenuLabel } from "@ai-orchestra/ui/menu";
import { buttonClass } from "@ai-orchestra/ui/button";
import { useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { modelsQuery } from "./queries.ts";

export interface ModelPickerProps {
  /** The model of this conversation; undefined means the default one. */
  chosen: string | undefined;
  onChoose: (model: string) => void;
}

export function ModelPicker({ chosen, onChoose }: ModelPickerProps) {
  const { t } = useLingui();
  const { data: models } = useQuery(modelsQuery());
  const shown = models?.find((model) => (chosen ? model.id === chosen : model.is_default));
  const name = shown?.name ?? chosen?.split("/").pop() ?? t`Default model`;
  return (
    <Menu
      align="start"
      side="top"
      trigger={
        <button type="button" aria-label={t`Model: ${name}`} className={`${buttonClass("ghost", "sm")} max-w-56 shrink! overflow-hidden font-normal!`}>
          <SparklesIcon className="size-4 shrink-0" />
          <span className="truncate">{name}</span>
          <ChevronDownIcon className="size-3.5 shrink-0" />
        </button>
      }
    >
      <MenuLabel>{t`Answers come from`}</MenuLabel>
      {models?.length === 0 ? (
        <MenuItem disabled onSelect={() => undefined}>
          {t`No model is set up yet`}
        </MenuItem>
      ) : null}
      {models?.map((model) => (
        <MenuItem
          key={model.id}
          checked={model.id === shown?.id}
          hint={model.provider}
          onSelect={() => {
            onChoose(model.id);
          }}
        >
          {model.name}
        </MenuItem>
      ))}
    </Menu>
  );
}
