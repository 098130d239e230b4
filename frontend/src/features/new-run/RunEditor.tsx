import { Grid, Group, Skeleton, Stack, Tabs, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Suspense, useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { ApiError } from "@/api/client";
import { valueAt, withValue } from "@/api/config";
import { datasetsQuery } from "@/api/queries";
import type { ConfigDraft } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { notify } from "@/components/feedback/toast";
import { useMethod } from "@/components/runs/methods";
import { lazyPart } from "@/components/server/load-part";
import { ConfigForm } from "./ConfigForm";
import { BrokenYamlAlert, RefusalAlert, RestoredAlert } from "./EditAlerts";
import { allFields, allPaths, problemsByField } from "./form/draft";
import { datasetOf } from "./form/options";
import type { FormSection } from "./form/schema";
import { MethodChanges } from "./method/MethodChanges";
import { useMethodSwitch } from "./method/use-method-switch";
import { PresetCards } from "./PresetCards";
import { DataPreview } from "./plan/DataPreview";
import { Measure } from "./plan/Measure";
import { PlanPanel } from "./plan/PlanPanel";
import { usePlan } from "./plan/use-plan";
import { presetsQuery } from "./queries";
import { RunFields } from "./RunFields";
import { SteeringNotice } from "./SteeringNotice";
import type { TypedYaml } from "./text/TextViews";
import type { LaunchText } from "./text/text-forms";
import { TokensPanel } from "./tokens/TokensPanel";
import { type Edit, forgetUnsaved } from "./unsaved";
import { useLaunch } from "./use-launch";
import { isSameConfig, useRunEdit } from "./use-run-edit";

const YamlView = lazyPart(
  () => import("./text/TextViews"),
  (module) => module.YamlView,
);
const CurlView = lazyPart(
  () => import("./text/TextViews"),
  (module) => module.CurlView,
);

interface RunEditorProps {
  sections: FormSection[];
  start: Edit;
  /** The configuration that this one is a copy of; null for a new one. */
  origin: ConfigDraft | null;
  /** The queued run whose configuration is changed; null for a new run. */
  edited: string | null;
  /** Key of this page's unsaved edits. */
  place: string;
}

export function RunEditor({ sections, start, origin, edited, place }: RunEditorProps) {
  const { guard, ...editing } = useRunEdit(start, place);
  const { edit, change } = editing;
  const { draft, name, priority, tags, brokenYaml } = edit;
  const onDraft = (next: ConfigDraft) => change({ draft: next });

  const [tab, setTab] = useState<string | null>(brokenYaml ? "yaml" : "form");
  const [typedYaml, setTypedYaml] = useState<TypedYaml | null>(null);
  const [askedPreset, setAskedPreset] = useState<ConfigDraft | null>(null);
  const [checked] = useDebouncedValue(draft, 350);
  const plan = usePlan(checked);
  const presets = useQuery(presetsQuery);
  const datasets = useQuery(datasetsQuery);
  const paths = useMemo(() => allPaths(sections), [sections]);
  const fields = useMemo(() => allFields(sections), [sections]);
  const chosenMethod = useMethod(String(valueAt(checked, "method.name")));
  const navigate = useNavigate();
  const isChecking = plan.isFetching || checked !== draft;
  const method = useMethodSwitch(
    draft,
    isChecking ? null : (plan.data?.total_steps ?? null),
    editing.changeDraft,
  );
  const methodTitle = (key: string) =>
    sections.flatMap((section) => section.choice?.variants ?? []).find((variant) => variant.value === key)
      ?.title ?? key;

  const startFrom = (preset: ConfigDraft) => {
    editing.startFrom(preset);
    method.setNotice(null);
    setAskedPreset(null);
  };
  const choosePreset = (preset: ConfigDraft) => {
    if (editing.isDraftEdited && !isSameConfig(draft, preset)) setAskedPreset(preset);
    else startFrom(preset);
  };
  const readText = (text: string, { config, ...fields }: LaunchText) => {
    setTypedYaml({ text, config });
    change({ draft: config, brokenYaml: null, ...fields });
  };

  const launch = useLaunch({
    edit,
    start,
    edited,
    onDone: (run) => {
      notify(edited ? `${run.name}: changed.` : `${run.name}: launched.`);
      forgetUnsaved(place);
      guard.pass(() => void navigate(`/runs/${run.id}`));
    },
  });

  const refusal = launch.error ?? plan.error;
  const problems = refusal instanceof ApiError ? refusal.fields : [];
  const { fields: errors, others } = problemsByField(problems, paths);
  const otherError = problems.length === 0 ? refusal : null;
  const dataset = datasetOf(datasets.data, draft);

  return (
    <Stack gap="md">
      {editing.isRestored ? (
        <RestoredAlert onDiscard={editing.discardRestored} onClose={editing.dismissRestored} />
      ) : null}
      <PresetCards presets={presets.data ?? []} draft={draft} onChoose={choosePreset} />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Stack gap="md">
            <RunFields edit={edit} onChange={change} problems={problems} />
            {brokenYaml ? (
              <BrokenYamlAlert
                error={brokenYaml.error}
                onFix={tab === "yaml" ? undefined : () => setTab("yaml")}
                onDiscard={() => change({ brokenYaml: null })}
              />
            ) : null}
            {others.length > 0 || otherError ? (
              <RefusalAlert sentences={others} error={otherError} onCheckAgain={() => void plan.refetch()} />
            ) : null}
            <SteeringNotice
              steering={valueAt(draft, "steering")}
              onRemove={() => onDraft(withValue(draft, "steering", []))}
            />
            <Tabs value={tab} onChange={setTab} keepMounted={false}>
              <Tabs.List mb="md">
                <Tabs.Tab value="form">Form</Tabs.Tab>
                <Tabs.Tab value="yaml">YAML</Tabs.Tab>
                <Tabs.Tab value="curl">curl</Tabs.Tab>
              </Tabs.List>
              <Tabs.Panel value="form">
                <ConfigForm
                  sections={sections}
                  draft={draft}
                  onDraft={onDraft}
                  errors={errors}
                  origin={origin}
                  onMethod={method.choose}
                  isSwitchingMethod={method.isBusy}
                  afterMethod={
                    method.notice ? (
                      <MethodChanges
                        notice={method.notice}
                        titleOf={methodTitle}
                        fieldTitleOf={(path) =>
                          fields.find((field) => field.path === path)?.title ??
                          `${path.charAt(0).toUpperCase()}${path.slice(1)}`
                        }
                        onKeep={(path, value) => {
                          onDraft(withValue(draft, path, value));
                          method.markUndone(path);
                        }}
                        onClose={() => method.setNotice(null)}
                      />
                    ) : null
                  }
                  rank={plan.data?.initial_rank || null}
                  parts={plan.data?.data.split.parts}
                  below={{
                    task:
                      dataset && !dataset.problem ? (
                        <TokensPanel
                          key={dataset.id}
                          draft={checked}
                          rows={dataset.rows ?? 0}
                          isValid={plan.isCurrent && problems.length === 0}
                        />
                      ) : null,
                  }}
                />
              </Tabs.Panel>
              <Tabs.Panel value="yaml">
                <Suspense fallback={<Skeleton height={420} />}>
                  <YamlView
                    draft={draft}
                    name={name}
                    broken={brokenYaml}
                    typed={typedYaml}
                    onRead={readText}
                    onBroken={(broken) => change({ brokenYaml: broken })}
                  />
                </Suspense>
              </Tabs.Panel>
              <Tabs.Panel value="curl">
                <Suspense fallback={<Skeleton height={420} />}>
                  <CurlView draft={draft} fields={{ name, tags, priority }} />
                </Suspense>
              </Tabs.Panel>
            </Tabs>
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Stack gap="md" className="beside-form">
            <PlanPanel
              plan={plan.data}
              isChecking={isChecking}
              problems={problems.length}
              isOutdated={brokenYaml !== null || !plan.isCurrent || isChecking}
              waits={
                brokenYaml
                  ? "The YAML has to be valid first."
                  : otherError
                    ? "The server has to check this configuration first."
                    : ""
              }
              isBusy={launch.isPending}
              onLaunch={() => launch.mutate()}
              onApply={(changes) =>
                onDraft(
                  Object.entries(changes).reduce(
                    (next, [path, value]) => withValue(next, path, value),
                    draft,
                  ),
                )
              }
              measure={
                <Measure
                  draft={draft}
                  isKnown={!!plan.data?.preflight.time}
                  isValid={problems.length === 0 && plan.isCurrent && !isChecking}
                />
              }
              action={edited ? "Save changes" : "Launch run"}
              withoutBudget={chosenMethod.rank_note}
            />
            {dataset && !dataset.problem ? <DataPreview dataset={dataset} /> : null}
            {origin && !isSameConfig(origin, draft) ? (
              <Group gap={6}>
                <span className="changed-mark" aria-hidden />
                <Text size="xs" c="dimmed">
                  Differs from the copied run
                </Text>
              </Group>
            ) : null}
          </Stack>
        </Grid.Col>
      </Grid>
      {guard.dialog}
      <Confirm
        opened={askedPreset !== null}
        title="Replace your changes?"
        action="Use the preset"
        onClose={() => setAskedPreset(null)}
        onConfirm={() => askedPreset && startFrom(askedPreset)}
      >
        The preset replaces the whole configuration, and your changes to it are lost.
      </Confirm>
    </Stack>
  );
}
