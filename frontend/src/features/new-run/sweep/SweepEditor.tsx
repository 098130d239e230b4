import { Grid, Stack, Tabs, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { ApiError, http, unwrap } from "@/api/client";
import { valueAt } from "@/api/config";
import { datasetsQuery } from "@/api/queries";
import type { ConfigDraft } from "@/api/types";
import { notify } from "@/components/feedback/toast";
import { tasksQuery } from "@/components/runs/tasks";
import { allPaths, problemsByField, sentenceOf } from "@/features/new-run/form/draft";
import { optionsFor } from "@/features/new-run/form/options";
import { SchemaForm } from "@/features/new-run/form/SchemaForm";
import type { FormField, FormSection } from "@/features/new-run/form/schema";
import { withBestByHeadline, withLikelyTask, withMetricsOf, withTask } from "@/features/new-run/form/task";
import { useMethodSwitch } from "@/features/new-run/method/use-method-switch";
import { modelsQuery } from "@/features/new-run/queries";
import { choicesOf } from "./choices";
import { type AskedSweep, bodyOf, type SweepBody } from "./request";
import { SearchPanel } from "./SearchPanel";
import { SearchSpacePanel } from "./SearchSpacePanel";
import { SweepPlanPanel } from "./SweepPlanPanel";
import { SweepYaml } from "./SweepYaml";
import { useSweepPlan } from "./use-sweep-plan";

interface SweepEditorProps {
  sections: FormSection[];
  start: AskedSweep;
}

/** Search space, search and limits, then the configuration that all points share. */
export function SweepEditor({ sections, start }: SweepEditorProps) {
  const [asked, setAsked] = useState(start);
  const [tab, setTab] = useState<string | null>("form");
  const [isBroken, setBroken] = useState(false);
  const change = (part: Partial<AskedSweep>) => setAsked((before) => ({ ...before, ...part }));
  const draft = asked.config;
  const onDraft = (next: ConfigDraft) => change({ config: next });
  const varied = asked.rows.map((row) => row.name).join(" ");
  const shown = useMemo(() => withoutVaried(sections, varied.split(" ")), [sections, varied]);
  const paths = useMemo(() => allPaths(shown), [shown]);
  const models = useQuery(modelsQuery);
  const datasets = useQuery(datasetsQuery);
  const tasks = useQuery(tasksQuery).data;
  const task = valueAt(draft, "task.name");
  const choices = useMemo(
    () =>
      choicesOf(sections, {
        models: models.data?.map((one) => one.id) ?? [],
        datasets: datasets.data?.map((one) => one.id) ?? [],
      }),
    [sections, models.data, datasets.data],
  );
  const body = useMemo(() => bodyOf(asked), [asked]);
  const [checked] = useDebouncedValue(body, 350);
  const plan = useSweepPlan(checked);
  const launch = useLaunchSweep();
  const method = useMethodSwitch(draft, null, (next) =>
    setAsked((before) => ({ ...before, config: next(before.config) })),
  );

  const refusal = launch.error ?? plan.error;
  const problems = refusal instanceof ApiError ? refusal.fields : [];
  const { fields: errors, others } = problemsByField(
    problems.filter((problem) => problem.field.startsWith("config")),
    paths,
  );
  const problemOf = (field: string) => {
    const found = problems.find((one) => one.field === field || one.field.startsWith(`${field}.`));
    return found && sentenceOf(found);
  };
  const sentences = [
    ...others,
    ...problems
      .filter(({ field }) => !field.startsWith("config"))
      .map((problem) => `${problem.field}: ${sentenceOf(problem)}`),
    ...(problems.length === 0 && refusal ? [refusal.message] : []),
    ...(Object.keys(errors).length ? ["Fix the fields that are marked in the form."] : []),
    ...(isBroken ? ["Fix the YAML first."] : []),
    ...(asked.name.trim() ? [] : ["Name the sweep."]),
  ];
  const isChecking = plan.isFetching || checked !== body;
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Tabs value={tab} onChange={setTab} keepMounted={false}>
          <Tabs.List mb="md">
            <Tabs.Tab value="form" disabled={isBroken}>
              Form
            </Tabs.Tab>
            <Tabs.Tab value="yaml">YAML</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="form">
            <Stack gap="md">
              <TextInput
                label="Name"
                value={asked.name}
                onChange={(event) => change({ name: event.currentTarget.value })}
                maxLength={200}
                required
                error={problemOf("name")}
              />
              <SearchSpacePanel
                rows={asked.rows}
                onChange={(rows) => change({ rows })}
                choices={choices}
                kind={asked.kind}
                problemOf={problemOf}
              />
              <SearchPanel asked={asked} onChange={change} problemOf={problemOf} />
              <SchemaForm
                sections={withMetricsOf(shown, tasks?.find((one) => one.name === task)?.best_by, draft)}
                draft={draft}
                onDraft={(next) =>
                  onDraft(withLikelyTask(draft, withBestByHeadline(draft, next), sections, datasets.data))
                }
                errors={errors}
                origin={null}
                optionsOf={(field) => optionsFor(field, draft, models.data, datasets.data)}
                onVariant={(section, value) =>
                  section.path === "method" ? method.choose(value) : onDraft(withTask(draft, section, value))
                }
                switching={method.isBusy ? "method" : null}
                afterChoice={{}}
              />
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="yaml">
            <SweepYaml body={body} onRead={setAsked} onBroken={setBroken} />
          </Tabs.Panel>
        </Tabs>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <div className="beside-form">
          <SweepPlanPanel
            plan={plan.data}
            isChecking={isChecking}
            problems={sentences}
            canLaunch={plan.isCurrent && !isChecking && !isBroken && asked.name.trim() !== ""}
            isBusy={launch.isPending}
            onLaunch={() => launch.mutate(body)}
          />
        </div>
      </Grid.Col>
    </Grid>
  );
}

function useLaunchSweep() {
  const client = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: (body: SweepBody) => unwrap(http.POST("/api/v1/sweeps", { body: body as never })),
    onSuccess: (made) => {
      void client.invalidateQueries({ queryKey: ["sweeps"] });
      void client.invalidateQueries({ queryKey: ["runs"] });
      notify(`Launched “${made.name}”.`);
      void navigate(`/sweeps/${made.id}`);
    },
  });
}

/** The fields that all points share: not the seed, and not those of the search space. */
function withoutVaried(sections: readonly FormSection[], varied: readonly string[]): FormSection[] {
  const shared = (fields: readonly FormField[]) =>
    fields.filter(({ path }) => path !== "training.seed" && !varied.includes(path));
  return sections.map(({ choice, ...section }) => ({
    ...section,
    fields: shared(section.fields),
    ...(choice && {
      choice: {
        ...choice,
        variants: choice.variants.map((one) => ({ ...one, fields: shared(one.fields) })),
      },
    }),
  }));
}
