import { Checkbox, NumberInput, SimpleGrid, Stack, TagsInput } from "@mantine/core";
import { Panel } from "@/components/layout/Panel";
import { DecimalInput } from "@/features/new-run/form/DecimalInput";
import { below } from "@/features/new-run/form/FieldInput";
import type { Asked } from "./request";

interface QuestionPanelProps {
  asked: Asked;
  /** Whether the headline metric is shown in points. */
  isShare: boolean;
  onChange: (part: Partial<Asked>) => void;
  /** The API's sentence about a field of the request. */
  problemOf: (field: string) => string | undefined;
}

const controls = [
  {
    value: "same_parameters",
    label: "LoRA with the same kept parameters",
    description: "Separates the effect of the method from that of the parameter count.",
  },
  {
    value: "found_ranks",
    label: "LoRA with the ranks that the method found",
    description: "Is it the allocation, or the training that found it?",
  },
  {
    value: "other_seed_ranks",
    label: "LoRA with the ranks that another seed found",
    description: "What do the seeds have in common?",
  },
  {
    value: "permuted_ranks",
    label: "LoRA with these ranks, permuted among modules of equal shape",
    description: "Is it where the rank is, or only how unequal the ranks are?",
  },
  {
    value: "random_score",
    label: "Pruning by a random score",
    description:
      "Separates the choice of components from the pruning itself. For methods that choose by a score.",
  },
];
export const everyControl = controls.map((one) => one.value);

/** Budgets, seeds, margin, tuning and controls. */
export function QuestionPanel({ asked, isShare, onChange, problemOf }: QuestionPanelProps) {
  return (
    <>
      <Panel title="Budgets and seeds">
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md" verticalSpacing="sm">
          <TagsInput
            {...below}
            label="Mean ranks"
            description="Budgets at which the methods are compared."
            value={asked.budgets}
            onChange={(budgets) => onChange({ budgets })}
            maxTags={8}
            splitChars={[",", " "]}
            styles={{ inputField: { minWidth: 24 } }}
            error={problemOf("budgets")}
          />
          <NumberInput
            {...below}
            label="Seeds"
            description="Runs of each method and budget."
            value={asked.seeds}
            onChange={(seeds) => onChange({ seeds: Number(seeds) || 1 })}
            min={1}
            max={50}
            allowDecimal={false}
            error={problemOf("seeds")}
          />
          <NumberInput
            {...below}
            label="Margin"
            description={
              isShare
                ? "Smallest difference that matters."
                : "Smallest difference that matters, in the metric's unit."
            }
            value={asked.margin}
            onChange={(margin) => onChange({ margin: Number(margin) || 0 })}
            min={0}
            step={0.1}
            suffix={isShare ? " points" : undefined}
            error={problemOf("margin")}
          />
          <NumberInput
            {...below}
            label="Looks"
            description="How many times you will look at the answer before it is final. With 2 or more, you can add seeds after a look; p values and intervals are corrected for it."
            value={asked.looks}
            onChange={(looks) => onChange({ looks: Number(looks) || 1 })}
            min={1}
            max={10}
            allowDecimal={false}
            error={problemOf("planned_looks")}
          />
        </SimpleGrid>
      </Panel>
      <Panel
        title="Learning rates"
        note="Tuned in the same way for every method, on part of the training rows, with a separate seed."
      >
        <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="md" verticalSpacing="sm">
          <NumberInput
            {...below}
            label="Rates"
            description="0: use the configuration's rate."
            value={asked.trials}
            onChange={(trials) => onChange({ trials: Number(trials) || 0 })}
            min={0}
            max={20}
            allowDecimal={false}
            error={problemOf("tuning.trials")}
          />
          <DecimalInput
            label="Lowest"
            value={asked.lowestRate}
            onChange={(rate) => onChange({ lowestRate: rate })}
            disabled={asked.trials === 0}
            error={problemOf("tuning.lowest_rate")}
          />
          <DecimalInput
            label="Highest"
            value={asked.highestRate}
            onChange={(rate) => onChange({ highestRate: rate })}
            disabled={asked.trials === 0}
            error={problemOf("tuning.highest_rate")}
          />
        </SimpleGrid>
      </Panel>
      <Panel title="Controls" note="Plain LoRA in other forms, to separate the causes of a difference.">
        <Checkbox.Group value={asked.controls} onChange={(chosen) => onChange({ controls: chosen })}>
          <Stack gap="xs">
            {controls.map((one) => (
              <Checkbox key={one.value} {...one} />
            ))}
          </Stack>
        </Checkbox.Group>
      </Panel>
    </>
  );
}
