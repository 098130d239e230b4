import { Grid, Stack, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";
import { http, unwrap } from "@/api/client";
import { valueAt } from "@/api/config";
import type { ConfigDraft } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { useMethods } from "@/components/runs/methods";
import { ConfigForm } from "@/features/new-run/ConfigForm";
import { allPaths, sentenceOf } from "@/features/new-run/form/draft";
import type { FormSection } from "@/features/new-run/form/schema";
import { planProblems } from "@/features/new-run/trials/plan-problems";
import { useLaunchTrials } from "@/features/new-run/trials/use-launch-trials";
import { useVerdict } from "@/features/new-run/trials/use-verdict";
import { ExperimentPlanPanel } from "./ExperimentPlanPanel";
import { MethodRows } from "./MethodRows";
import { everyControl, QuestionPanel } from "./QuestionPanel";
import { type Asked, type ExperimentRequest, requestOf } from "./request";

interface ExperimentEditorProps {
  sections: FormSection[];
  start: ConfigDraft;
}

const ownFields = [
  "budgets",
  "seeds",
  "margin",
  "planned_looks",
  "tuning.trials",
  "tuning.lowest_rate",
  "tuning.highest_rate",
];

export function ExperimentEditor({ sections, start }: ExperimentEditorProps) {
  const methods = useMethods();
  const [asked, setAsked] = useState<Asked>(() => ({
    name: "Does adaptive rank help?",
    draft: start,
    methods: [{ key: 1, method: firstMethod(start, methods), options: "", pattern: null }],
    budgets: ["4"],
    seeds: 5,
    margin: 0.5,
    trials: 6,
    lowestRate: 1e-4,
    highestRate: 3e-2,
    controls: everyControl,
    looks: 1,
  }));
  const change = (part: Partial<Asked>) => setAsked((before) => ({ ...before, ...part }));
  const { draft } = asked;
  const isTuned = asked.trials > 0;
  const shown = useMemo(() => sectionsFor(sections, isTuned), [sections, isTuned]);
  const paths = useMemo(() => allPaths(shown), [shown]);
  const givenRanks = useMemo(() => methodWithGivenRanks(sections), [sections]);
  const [isShare, setShare] = useState(true);
  const request = useMemo(() => requestOf(asked, isShare), [asked, isShare]);
  const { plan, error, isChecking, isCurrent } = useVerdict("experiment", request, validateExperiment);
  const known = plan?.design.metric.in_points;
  if (known !== undefined && known !== isShare) setShare(known);
  const launch = useLaunchTrials("experiments", launchExperiment);

  const { all, ofConfig, problemOf, sentences } = planProblems(launch.error ?? error, {
    paths,
    marks: (field) =>
      /^methods\.\d/.test(field) || ownFields.some((own) => field === own || field.startsWith(`${own}.`)),
  });
  const ofMethods = new Map(
    all.flatMap((problem) => {
      const row = /^methods\.(\d+)/.exec(problem.field)?.[1];
      return row === undefined ? [] : [[Number(row), `${lastPart(problem.field)}: ${sentenceOf(problem)}`]];
    }),
  );
  const missing = asked.name.trim() ? [] : ["Name the experiment."];
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Stack gap="md">
          <TextInput
            label="Name"
            value={asked.name}
            onChange={(event) => change({ name: event.currentTarget.value })}
            maxLength={200}
            required
            error={problemOf("name")}
          />
          <Panel title="Methods" note="Compared with plain LoRA, at the same budgets and seeds.">
            <MethodRows
              rows={asked.methods}
              onChange={(rows) => change({ methods: rows })}
              givenRanks={givenRanks}
              problems={ofMethods}
            />
          </Panel>
          <QuestionPanel asked={asked} isShare={isShare} onChange={change} problemOf={problemOf} />
          <ConfigForm
            sections={sections}
            shown={shown}
            draft={draft}
            onDraft={(next) => change({ draft: next })}
            errors={ofConfig}
            origin={null}
          />
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <div className="beside-form">
          <ExperimentPlanPanel
            plan={plan}
            isChecking={isChecking}
            problems={sentences}
            missing={missing}
            canLaunch={isCurrent && missing.length === 0}
            isBusy={launch.isPending}
            onLaunch={() => launch.mutate(request)}
          />
        </div>
      </Grid.Col>
    </Grid>
  );
}

const validateExperiment = (body: ExperimentRequest, signal: AbortSignal) =>
  unwrap(http.POST("/api/v1/experiments/validate", { signal, body: { ...body } }));
const launchExperiment = (body: ExperimentRequest) =>
  unwrap(http.POST("/api/v1/experiments", { body: body as never }));

/** The method that the form starts with if it chooses ranks; otherwise the first one that does. */
function firstMethod(start: ConfigDraft, methods: ReturnType<typeof useMethods>): string {
  const choosing = methods.filter((one) => one.rank_changes !== "never" && one.budget_field !== null);
  const own = choosing.find((one) => one.name === valueAt(start, "method.name"));
  return (own ?? choosing[0])?.name ?? "";
}

/** The method that takes the ranks of each module as an option. */
const methodWithGivenRanks = (sections: readonly FormSection[]): string | null =>
  sections
    .find((section) => section.path === "method")
    ?.choice?.variants.find((one) => one.fields.some((field) => field.path === "method.rank_pattern"))
    ?.value ?? null;

/**
 * Without what each trial sets: the method, the seed, the rate if it is tuned, and the validation part. Trials keep
 * no checkpoints after their end, so which one is the best does not matter either.
 */
function sectionsFor(sections: readonly FormSection[], isTuned: boolean): FormSection[] {
  const own = new Set([
    "training.seed",
    "training.keep_best",
    "training.best_metric",
    "training.after_done",
    "data.validation_fraction",
    isTuned ? "training.learning_rate" : "",
  ]);
  return sections
    .filter((section) => section.path !== "method")
    .map((section) => ({ ...section, fields: section.fields.filter((field) => !own.has(field.path)) }));
}

const lastPart = (field: string): string => field.slice(field.lastIndexOf(".") + 1);
