import { NumberInput, Select, SimpleGrid, Stack, TagsInput, TextInput } from "@mantine/core";
import { Panel } from "@/components/layout/Panel";
import { DecimalInput } from "@/features/new-run/form/DecimalInput";
import { below, closedOptions } from "@/features/new-run/form/FieldInput";
import { type AskedSweep, type SearchKind, searchOptions } from "./request";

interface SearchPanelProps {
  asked: AskedSweep;
  onChange: (part: Partial<AskedSweep>) => void;
  /** The API's sentence about a field of the body. */
  problemOf: (field: string) => string | undefined;
}

interface Option {
  path: string;
  label: string;
  description: string;
  placeholder: string;
  isDecimal?: boolean;
}

const kinds: { value: SearchKind; label: string; description: string }[] = [
  { value: "grid", label: "Grid", description: "Every combination." },
  { value: "random", label: "Random", description: "Random points." },
  {
    value: "tpe",
    label: "TPE",
    description: "Random points first, then values like those of the best points.",
  },
  {
    value: "halving",
    label: "Successive halving",
    description: "Random points; the worse ones are stopped early.",
  },
];

const ofSearch: Option[] = [
  { path: "search.points", label: "Points", description: "Sets of values.", placeholder: "20" },
  {
    path: "search.startup",
    label: "Random points",
    description: "Before results are used.",
    placeholder: "10",
  },
  {
    path: "search.reduction_factor",
    label: "Reduction factor",
    description: "The best of this many go on.",
    placeholder: "3",
  },
  {
    path: "search.min_steps",
    label: "First comparison",
    description: "Step at which points are first compared.",
    placeholder: "automatic",
  },
  {
    path: "search.seed",
    label: "Seed of the search",
    description: "Chooses the random points.",
    placeholder: "0",
  },
];

const ofLimits: Option[] = [
  {
    path: "stop.hours",
    label: "Hours",
    description: "Without pauses.",
    placeholder: "no limit",
    isDecimal: true,
  },
  { path: "stop.runs", label: "Runs", description: "Most runs of the sweep.", placeholder: "no limit" },
  {
    path: "stop.target",
    label: "Target",
    description: "A point's mean that is good enough, such as 0.9.",
    placeholder: "none",
    isDecimal: true,
  },
  {
    path: "stop_runs.patience",
    label: "Patience of a run",
    description: "Evaluations without improvement, once its ranks are final.",
    placeholder: "train to the end",
  },
  {
    path: "stop_runs.max_train_loss",
    label: "Divergence",
    description: "A run with a training loss above this is ended. NaN always ends it.",
    placeholder: "no limit",
    isDecimal: true,
  },
  { path: "parallel", label: "Runs at once", description: "Queued or training.", placeholder: "automatic" },
];

/** How points are chosen, their seeds, and when the sweep and its runs end. */
export function SearchPanel({ asked, onChange, problemOf }: SearchPanelProps) {
  const set = (path: string, value: unknown) => onChange({ options: { ...asked.options, [path]: value } });
  const input = ({ path, label, description, placeholder, isDecimal }: Option) => {
    const common = { ...below, label, description, placeholder, error: problemOf(path) };
    const value = asked.options[path];
    return isDecimal ? (
      <DecimalInput key={path} {...common} value={value} onChange={(next) => set(path, next)} />
    ) : (
      <NumberInput
        key={path}
        {...common}
        value={typeof value === "number" || typeof value === "string" ? value : ""}
        onChange={(next) => set(path, next)}
        allowDecimal={false}
        // The API checks limits and explains them.
        clampBehavior="none"
      />
    );
  };
  const own = searchOptions[asked.kind].map((name) => `search.${name}`);
  return (
    <>
      <Panel title="Search">
        <Stack gap="sm">
          <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="md" verticalSpacing="sm">
            <Select
              {...below}
              label="Kind"
              comboboxProps={closedOptions}
              data={kinds.map(({ value, label }) => ({ value, label }))}
              value={asked.kind}
              onChange={(kind) => kind && onChange({ kind: kind as SearchKind })}
              allowDeselect={false}
              description={kinds.find((one) => one.value === asked.kind)?.description}
              error={problemOf("search.kind")}
            />
            <TagsInput
              {...below}
              label="Seeds"
              description="Each point is trained once with each."
              value={asked.seeds}
              onChange={(seeds) => onChange({ seeds })}
              splitChars={[",", " "]}
              maxTags={20}
              styles={{ inputField: { minWidth: 24 } }}
              error={problemOf("seeds")}
            />
            <TextInput
              {...below}
              label="Metric"
              description="That points are ranked by."
              placeholder="headline metric"
              value={String(asked.options["metric"] ?? "")}
              onChange={(event) => set("metric", event.currentTarget.value || null)}
              error={problemOf("metric")}
            />
            {ofSearch.filter(({ path }) => own.includes(path)).map(input)}
          </SimpleGrid>
        </Stack>
      </Panel>
      <Panel title="Limits" note="All optional. When the sweep reaches a limit, running runs are finished.">
        <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="md" verticalSpacing="sm">
          {ofLimits.map(input)}
        </SimpleGrid>
      </Panel>
    </>
  );
}
