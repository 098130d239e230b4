import { Button, Group, MultiSelect, Select } from "@mantine/core";
import type { ExperimentDetail } from "@/api/types";
import type { Selection } from "@/features/experiments/view/selection";

interface SelectionBarProps {
  experiment: ExperimentDetail;
  selection: Selection;
  onChange: (selection: Selection) => void;
}

/** Chooses which comparisons are shown, and therefore corrected together. */
export function SelectionBar({ experiment, selection, onChange }: SelectionBarProps) {
  const { task, budget, variants = [] } = selection;
  const others = experiment.design.variants
    .filter((variant) => variant.role === "method")
    .map((variant) => variant.name);
  return (
    <Group gap="sm" align="flex-end">
      {experiment.tasks.length > 1 ? (
        <Select
          label="Task"
          size="xs"
          w={130}
          data={experiment.tasks}
          value={task ?? null}
          onChange={(next) => onChange(without({ ...selection, task: next }))}
          placeholder="All"
          clearable
        />
      ) : null}
      {experiment.budgets.length > 1 ? (
        <Select
          label="Mean rank"
          size="xs"
          w={110}
          data={experiment.budgets.map(String)}
          value={budget === undefined ? null : String(budget)}
          onChange={(next) =>
            onChange(without({ ...selection, budget: next === null ? null : Number(next) }))
          }
          placeholder="All"
          clearable
        />
      ) : null}
      {others.length > 1 ? (
        <MultiSelect
          label="Variants"
          size="xs"
          style={{ flex: "1 1 220px", maxWidth: 640 }}
          data={others}
          value={variants}
          onChange={(next) => onChange(without({ ...selection, variants: next.length ? next : null }))}
          placeholder={variants.length ? "" : "All"}
          searchable
          clearable
        />
      ) : null}
      {task !== undefined || budget !== undefined || variants.length ? (
        <Button size="xs" variant="subtle" onClick={() => onChange({})}>
          Show all
        </Button>
      ) : null}
    </Group>
  );
}

const without = (selection: {
  task?: string | null | undefined;
  budget?: number | null | undefined;
  variants?: string[] | null | undefined;
}): Selection => {
  const { task, budget, variants } = selection;
  return {
    ...(task ? { task } : {}),
    ...(budget === null || budget === undefined ? {} : { budget }),
    ...(variants?.length ? { variants } : {}),
  };
};
