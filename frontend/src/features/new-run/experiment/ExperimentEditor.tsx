import { Grid, Stack, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { ApiError, http, unwrap } from "@/api/client";
import { valueAt } from "@/api/config";
import { datasetsQuery } from "@/api/queries";
import type { ConfigDraft } from "@/api/types";
import { notify } from "@/components/feedback/toast";
import { Panel } from "@/components/layout/Panel";
import { useMethods } from "@/components/runs/methods";
import { tasksQuery } from "@/components/runs/tasks";
import { allPaths, problemsByField, sentenceOf } from "@/features/new-run/form/draft";
import { optionsFor } from "@/features/new-run/form/options";
import { SchemaForm } from "@/features/new-run/form/SchemaForm";
import type { FormSection } from "@/features/new-run/form/schema";
import { withBestByHeadline, withLikelyTask, withMetricsOf, withTask } from "@/features/new-run/form/task";
import { modelsQuery } from "@/features/new-run/queries";
import { ExperimentPlanPanel } from "./ExperimentPlanPanel";
import { MethodRows } from "./MethodRows";
import { everyControl, QuestionPanel } from "./QuestionPanel";
import { type Asked, requestOf } from "./request";
import { type ExperimentRequest, useExperimentPlan } from "./use-experiment-plan";

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
  const onDraft = (next: ConfigDraft) => change({ draft: next });
  const isTuned = asked.trials > 0;
  const shown = useMemo(() => sectionsFor(sections, isTuned), [sections, isTuned]);
  const paths = useMemo(() => allPaths(shown), [shown]);
  const givenRanks = useMemo(() => methodWithGivenRanks(sections), [sections]);
  const models = useQuery(modelsQuery);
  const datasets = useQuery(datasetsQuery);
  const tasks = useQuery(tasksQuery).data;
  const task = valueAt(draft, "task.name");
  const [isShare, setShare] = useState(true);
  const request = useMemo(() => requestOf(asked, isShare), [asked, isShare]);
  const [checked] = useDebouncedValue(request, 350);
  const plan = useExperimentPlan(checked);
  const known = plan.data?.design.metric.in_points;
  if (known !== undefined && known !== isShare) setShare(known);
  const launch = useLaunchExperiment();

  const refusal = launch.error ?? plan.error;
  const problems = refusal instanceof ApiError ? refusal.fields : [];
  const ofConfig = problems.filter((problem) => problem.field.startsWith("config"));
  const { fields: errors, others } = problemsByField(ofConfig, paths);
  const ofMethods = new Map(
    problems.flatMap((problem) => {
      const row = /^methods\.(\d+)/.exec(problem.field)?.[1];
      return row === undefined ? [] : [[Number(row), `${lastPart(problem.field)}: ${sentenceOf(problem)}`]];
    }),
  );
  const problemOf = (field: string) => {
    const found = problems.find((one) => one.field === field || one.field.startsWith(`${field}.`));
    return found && sentenceOf(found);
  };
  const rest = problems.filter(
    ({ field }) =>
      !field.startsWith("config") &&
      !/^methods\.\d/.test(field) &&
      !ownFields.some((own) => field === own || field.startsWith(`${own}.`)),
  );
  const sentences = [
    ...others,
    ...rest.map((problem) => `${problem.field} ${sentenceOf(problem)}`),
    ...(problems.length === 0 && refusal ? [refusal.message] : []),
    ...(problems.length > others.length + rest.length ? ["Fix the fields that are marked in the form."] : []),
  ];
  const isChecking = plan.isFetching || checked !== request;
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
          <SchemaForm
            sections={withMetricsOf(shown, tasks?.find((one) => one.name === task)?.best_by, draft)}
            draft={draft}
            onDraft={(next) =>
              onDraft(withLikelyTask(draft, withBestByHeadline(draft, next), sections, datasets.data))
            }
            errors={errors}
            origin={null}
            optionsOf={(field) => optionsFor(field, draft, models.data, datasets.data)}
            onVariant={(section, value) => onDraft(withTask(draft, section, value))}
            switching={null}
            afterChoice={{}}
          />
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <div className="beside-form">
          <ExperimentPlanPanel
            plan={plan.data}
            isChecking={isChecking}
            problems={sentences}
            canLaunch={plan.isCurrent && !isChecking && asked.name.trim() !== ""}
            isBusy={launch.isPending}
            onLaunch={() => launch.mutate(request)}
          />
        </div>
      </Grid.Col>
    </Grid>
  );
}

function useLaunchExperiment() {
  const client = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: (request: ExperimentRequest) =>
      unwrap(http.POST("/api/v1/experiments", { body: request as never })),
    onSuccess: (made) => {
      void client.invalidateQueries({ queryKey: ["experiments"] });
      void client.invalidateQueries({ queryKey: ["runs"] });
      notify(`Launched “${made.name}”.`);
      void navigate(`/experiments/${made.id}`);
    },
  });
}

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
