import { ActionIcon, Checkbox, Popover, Stack, Text, Tooltip } from "@mantine/core";
import { IconStack2 } from "@tabler/icons-react";

interface GroupByMenuProps {
  value: string[];
  /** The chosen columns of the table, by which runs can be grouped, too. */
  columns: string[];
  onChange: (fields: string[]) => void;
}

/** The whole configuration except the seed. */
const setup = "setup";
const usual: Record<string, string> = {
  method: "Method",
  model: "Model",
  data: "Data",
  task: "Task",
  project: "Project",
  status: "Status",
  "config.method.target_rank": "config.method.target_rank",
  "config.training.learning_rate": "config.training.learning_rate",
};
/** The API's limit. */
const most = 8;

/** By which fields the table groups runs. */
export function GroupByMenu({ value, columns, onChange }: GroupByMenuProps) {
  const others = [...new Set([...columns.filter((name) => name.startsWith("config.")), ...value])].filter(
    (name) => name !== setup && !(name in usual),
  );
  const toggle = (name: string) => {
    if (value.includes(name)) onChange(value.filter((each) => each !== name));
    else onChange(name === setup ? [setup] : [...value.filter((each) => each !== setup), name].slice(-most));
  };
  return (
    <Popover width={290} position="bottom-end" shadow="md" withinPortal trapFocus>
      <Popover.Target>
        <Tooltip label="Group runs">
          <ActionIcon
            variant={value.length > 0 ? "light" : "default"}
            size={36}
            aria-label="Group runs"
            data-testid="group-runs"
          >
            <IconStack2 size={17} />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap={8}>
          <Checkbox
            size="xs"
            label="Same configuration"
            description="Runs that differ only in their seed"
            checked={value.includes(setup)}
            onChange={() => toggle(setup)}
          />
          <Text size="xs" c="dimmed">
            Or equal values of
          </Text>
          {[...Object.keys(usual), ...others].map((name) => (
            <Checkbox
              key={name}
              size="xs"
              label={usual[name] ?? name}
              checked={value.includes(name)}
              onChange={() => toggle(name)}
            />
          ))}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
