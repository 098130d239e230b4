import { Grid, Stack, Tabs, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { http, unwrap } from "@/api/client";
import { datasetsQuery } from "@/api/queries";
import type { ConfigDraft } from "@/api/types";
import { ConfigForm } from "@/features/new-run/ConfigForm";
import { allPaths } from "@/features/new-run/form/draft";
import type { FormField, FormSection } from "@/features/new-run/form/schema";
import { useMethodSwitch } from "@/features/new-run/method/use-method-switch";
import { modelsQuery } from "@/features/new-run/queries";
import { planProblems } from "@/features/new-run/trials/plan-problems";
import { useLaunchTrials } from "@/features/new-run/trials/use-launch-trials";
import { useVerdict } from "@/features/new-run/trials/use-verdict";
import { choicesOf } from "./choices";
import { type AskedSweep, bodyOf, isStillBlank, type SweepBody } from "./request";
import { SearchPanel } from "./SearchPanel";
import { SearchSpacePanel } from "./SearchSpacePanel";
import { SweepPlanPanel } from "./SweepPlanPanel";
import { SweepYaml } from "./SweepYaml";

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
  const choices = useMemo(
    () =>
      choicesOf(sections, {
        models: models.data?.map((one) => one.id) ?? [],
        datasets: datasets.data?.map((one) => one.id) ?? [],
      }),
    [sections, models.data, datasets.data],
  );
  const body = useMemo(() => bodyOf(asked), [asked]);
  const { plan, error, isChecking, isCurrent } = useVerdict("sweep", body, validateSweep);
  const launch = useLaunchTrials("sweeps", launchSweep);
  const method = useMethodSwitch(draft, null, (next) =>
    setAsked((before) => ({ ...before, config: next(before.config) })),
  );

  const blank = asked.rows.filter(isStillBlank);
  const isForm = tab === "form";
  const { ofConfig, problemOf, sentences } = planProblems(launch.error ?? error, {
    paths: isForm ? paths : new Set(),
    marks: () => isForm,
    isEarly: (field) => blank.some(({ name }) => `${field}.`.startsWith(`parameters.${name}.`)),
  });
  const missing = [
    ...blank.map(
      ({ name }) => `Enter values for ${choices.find((one) => one.value === name)?.label ?? name}.`,
    ),
    ...(isBroken ? ["Fix the YAML first."] : []),
    ...(asked.name.trim() ? [] : ["Name the sweep."]),
  ];
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
              <ConfigForm
                sections={sections}
                shown={shown}
                draft={draft}
                onDraft={onDraft}
                errors={ofConfig}
                origin={null}
                onMethod={method.choose}
                isSwitchingMethod={method.isBusy}
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
            plan={plan}
            isChecking={isChecking}
            problems={sentences}
            missing={missing}
            canLaunch={isCurrent && missing.length === 0}
            isBusy={launch.isPending}
            onLaunch={() => launch.mutate(body)}
          />
        </div>
      </Grid.Col>
    </Grid>
  );
}

const validateSweep = (body: SweepBody, signal: AbortSignal) =>
  unwrap(http.POST("/api/v1/sweeps/validate", { signal, body }));
const launchSweep = (body: SweepBody) => unwrap(http.POST("/api/v1/sweeps", { body: body as never }));

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
