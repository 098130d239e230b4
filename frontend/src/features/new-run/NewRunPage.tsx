import {
  Alert,
  Button,
  Container,
  Grid,
  Group,
  NumberInput,
  Skeleton,
  Stack,
  Tabs,
  TagsInput,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useMemo, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { ApiError, http, unwrap } from "@/api/client";
import { valueAt, withValue } from "@/api/config";
import { runQuery } from "@/api/queries";
import type { ConfigDraft, RunConfig } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { ErrorState } from "@/components/feedback/states";
import { told } from "@/components/feedback/toast";
import { useLeaveGuard } from "@/components/navigation/use-leave-guard";
import { useTitle } from "@/components/navigation/use-title";
import { lazyPart } from "@/components/server/load-part";
import { allFields, allPaths, defaultDraft, problemsByField } from "@/features/new-run/form/draft";
import { MethodChanges } from "@/features/new-run/method/MethodChanges";
import { DataPreview } from "@/features/new-run/plan/DataPreview";
import { configSchemaQuery, controlsQuery, datasetsQuery, modelsQuery, presetsQuery } from "./queries";
import "./new-run.css";
import { datasetOf, optionsFor } from "@/features/new-run/form/options";
import { SchemaForm } from "@/features/new-run/form/SchemaForm";
import { type FormSection, formSections, type JsonSchema } from "@/features/new-run/form/schema";
import { useMethodSwitch } from "@/features/new-run/method/use-method-switch";
import { PlanPanel } from "@/features/new-run/plan/PlanPanel";
import { usePlan } from "@/features/new-run/plan/use-plan";
import type { TypedYaml } from "@/features/new-run/text/TextViews";
import type { LaunchText } from "@/features/new-run/text/text-forms";
import { PresetCards } from "./PresetCards";
import { SteeringNotice } from "./SteeringNotice";
import { type Edit, forgetUnsaved, isSameEdit, keepUnsaved, readUnsaved } from "./unsaved";

const YamlView = lazyPart(
  () => import("@/features/new-run/text/TextViews"),
  (module) => module.YamlView,
);
const CurlView = lazyPart(
  () => import("@/features/new-run/text/TextViews"),
  (module) => module.CurlView,
);

export function NewRunPage() {
  const [params] = useSearchParams();
  const edited = params.get("edit");
  const from = edited ?? params.get("from");
  const title = edited ? "Edit a queued run" : from ? "New run from an old one" : "New run";
  useTitle(title);
  const schema = useQuery(configSchemaQuery);
  const presets = useQuery(presetsQuery);
  const origin = useQuery({
    ...runQuery(from ?? ""),
    enabled: from !== null,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const as = params.get("as");
  const beside = useQuery({ ...controlsQuery(from ?? ""), enabled: from !== null && as !== null });
  const control = beside.data?.find((one) => one.key === as);
  const sections = useMemo(
    () => (schema.data ? formSections(schema.data as JsonSchema) : null),
    [schema.data],
  );
  const failed = schema.error ?? presets.error ?? (from ? origin.error : null) ?? (as ? beside.error : null);
  const isReady = sections && presets.data && (from === null || origin.data) && (as === null || control);
  const wanted = presets.data?.find((preset) => preset.key === params.get("preset")) ?? presets.data?.[0];
  return (
    <Container fluid maw={1480} px={{ base: "sm", sm: "lg" }} py="md">
      <Title order={1} size="h3" mb="md">
        {title}
      </Title>
      {isReady ? (
        <Editor
          key={`${from ?? "new"} ${as ?? ""}`}
          sections={sections}
          start={
            (control?.config ??
              origin.data?.config ??
              wanted?.config ??
              defaultDraft(sections)) as ConfigDraft
          }
          origin={(origin.data?.config as ConfigDraft | undefined) ?? null}
          startName={
            control ? "" : origin.data ? (edited ? origin.data.name : copyName(origin.data.name)) : ""
          }
          startPriority={edited ? (origin.data?.priority ?? 0) : 0}
          startTags={origin.data?.tags ?? []}
          edited={edited}
          place={params.toString()}
        />
      ) : failed ? (
        <ErrorState
          error={failed}
          onRetry={() => {
            for (const query of [schema, presets, origin, beside]) if (query.error) void query.refetch();
          }}
        />
      ) : (
        <Stack gap="md" aria-label="Loading" aria-busy>
          <Skeleton height={92} />
          <Skeleton height={420} />
        </Stack>
      )}
    </Container>
  );
}

interface EditorProps {
  sections: FormSection[];
  start: ConfigDraft;
  origin: ConfigDraft | null;
  startName: string;
  startPriority: number;
  startTags: string[];
  /** The queued run whose configuration is changed; null for a new run. */
  edited: string | null;
  /** Which page this is, to find unsaved edits again. */
  place: string;
}

function Editor({
  sections,
  start,
  origin,
  startName,
  startPriority,
  startTags,
  edited,
  place,
}: EditorProps) {
  const [untouched] = useState<Edit>({
    draft: start,
    name: startName,
    priority: startPriority,
    tags: startTags,
    notes: "",
    brokenYaml: null,
  });
  const [restored, setRestored] = useState(() => readUnsaved(place));
  const [edit, setEdit] = useState<Edit>(restored ?? untouched);
  // Choosing a preset is a fresh start: what comes after it is an edit.
  const [base, setBase] = useState<Edit>(untouched);
  const { draft, name, priority, tags, brokenYaml } = edit;
  const change = (part: Partial<Edit>) => setEdit((now) => ({ ...now, ...part }));
  const onDraft = (next: ConfigDraft) => change({ draft: next });
  const isDirty = !isSameEdit(edit, base);
  useEffect(() => {
    if (isDirty) keepUnsaved(place, edit);
    else forgetUnsaved(place);
  }, [isDirty, edit, place]);
  const guard = useLeaveGuard(isDirty, () => forgetUnsaved(place));

  const [tab, setTab] = useState<string | null>(brokenYaml ? "yaml" : "form");
  const [typedYaml, setTypedYaml] = useState<TypedYaml | null>(null);
  const [askedPreset, setAskedPreset] = useState<ConfigDraft | null>(null);
  const [checked] = useDebouncedValue(draft, 350);
  const plan = usePlan(checked);
  const presets = useQuery(presetsQuery);
  const models = useQuery(modelsQuery);
  const datasets = useQuery(datasetsQuery);
  const paths = useMemo(() => allPaths(sections), [sections]);
  const fields = useMemo(() => allFields(sections), [sections]);
  const navigate = useNavigate();
  const client = useQueryClient();
  const isChecking = plan.isFetching || checked !== draft;
  const method = useMethodSwitch(draft, isChecking ? null : (plan.data?.total_steps ?? null), (make) =>
    setEdit((now) => ({ ...now, draft: make(now.draft) })),
  );
  const methodTitle = (key: string) =>
    sections.flatMap((section) => section.choice?.variants ?? []).find((variant) => variant.value === key)
      ?.title ?? key;

  const startFrom = (preset: ConfigDraft) => {
    const fresh = { ...edit, draft: preset, brokenYaml: null };
    setEdit(fresh);
    setBase({ ...base, draft: preset });
    method.setNotice(null);
    setAskedPreset(null);
  };
  const choosePreset = (preset: ConfigDraft) => {
    const isDraftEdited = brokenYaml !== null || JSON.stringify(draft) !== JSON.stringify(base.draft);
    if (isDraftEdited && JSON.stringify(draft) !== JSON.stringify(preset)) setAskedPreset(preset);
    else startFrom(preset);
  };
  const readText = (text: string, read: LaunchText) => {
    const { config, ...beside } = read;
    setTypedYaml({ text, config });
    change({ draft: config, brokenYaml: null, ...beside });
  };

  const launch = useMutation({
    mutationFn: async () => {
      if (edited) {
        const params = { path: { run_id: edited } };
        const config = draft as unknown as RunConfig;
        const run = await unwrap(http.PUT("/api/v1/runs/{run_id}/config", { params, body: { config } }));
        const wanted = name.trim() || startName;
        const isSame =
          wanted === startName &&
          priority === startPriority &&
          JSON.stringify(tags) === JSON.stringify(startTags);
        if (isSame) return run;
        return unwrap(
          http.PATCH("/api/v1/runs/{run_id}", { params, body: { name: wanted, priority, tags } }),
        );
      }
      return unwrap(
        http.POST("/api/v1/runs", {
          body: {
            config: draft as unknown as RunConfig,
            name: name.trim() || null,
            tags,
            notes: edit.notes,
            priority,
          },
        }),
      );
    },
    onSuccess: (run) => {
      told(edited ? `${run.name}: changed.` : `${run.name}: launched.`);
      forgetUnsaved(place);
      void client.invalidateQueries({ queryKey: ["runs"] });
      void client.invalidateQueries({ queryKey: ["run", run.id] });
      guard.pass(() => void navigate(`/runs/${run.id}`));
    },
  });
  // A refusal is about the configuration that was sent: it goes when that changes.
  const { reset } = launch;
  useEffect(() => reset(), [draft, name, tags, reset]);

  const refusal = launch.error ?? plan.error;
  const problems = refusal instanceof ApiError ? refusal.fields : [];
  const { fields: errors, others } = problemsByField(problems, paths);
  const nameError = problems.find((problem) => problem.field === "name")?.message;
  const tagsError = problems.find((problem) => problem.field.startsWith("tags"))?.message;
  const isElsewhere = refusal && problems.length === 0;
  const dataset = datasetOf(datasets.data, draft);

  return (
    <Stack gap="md">
      {restored ? (
        <Alert
          color="blue"
          variant="light"
          py="xs"
          title="Your unsaved changes are back"
          withCloseButton
          closeButtonLabel="Dismiss"
          onClose={() => setRestored(null)}
          data-testid="restored"
        >
          <Group gap="sm">
            <Text size="sm">This page was closed before they were launched.</Text>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => {
                setEdit(untouched);
                setBase(untouched);
                setRestored(null);
              }}
            >
              Discard them
            </Button>
          </Group>
        </Alert>
      ) : null}
      <PresetCards presets={presets.data ?? []} draft={draft} onChoose={choosePreset} />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Stack gap="md">
            <Group gap="md" align="flex-start">
              <TextInput
                label="Name"
                placeholder="Made from method, model and data"
                value={name}
                onChange={(event) => change({ name: event.currentTarget.value })}
                maxLength={200}
                error={nameError}
                flex="2 1 220px"
              />
              <TagsInput
                label="Tags"
                placeholder={tags.length ? "" : "none"}
                value={tags}
                onChange={(next) => change({ tags: next })}
                maxTags={50}
                error={tagsError}
                flex="1 1 160px"
              />
              <NumberInput
                label="Priority"
                title="Higher runs first; equal ones in the order in which they were queued."
                value={priority}
                onChange={(next) => change({ priority: Number(next) || 0 })}
                min={-1000}
                max={1000}
                allowDecimal={false}
                w={96}
              />
            </Group>
            {brokenYaml ? (
              <Alert
                color="red"
                variant="light"
                role="alert"
                title="The YAML is not valid yet"
                data-testid="broken-yaml"
              >
                <Text size="sm">{brokenYaml.error}</Text>
                <Group gap="xs" mt="xs">
                  {tab === "yaml" ? null : (
                    <Button size="compact-sm" variant="default" onClick={() => setTab("yaml")}>
                      Fix the YAML
                    </Button>
                  )}
                  <Button
                    size="compact-sm"
                    variant="default"
                    color="red"
                    onClick={() => change({ brokenYaml: null })}
                  >
                    Discard the YAML edit
                  </Button>
                </Group>
              </Alert>
            ) : null}
            {others.length > 0 || isElsewhere ? (
              <Alert color="red" variant="light" role="alert" title="This configuration can't run yet">
                {others.map((sentence) => (
                  <Text size="sm" key={sentence}>
                    {sentence}
                  </Text>
                ))}
                {isElsewhere ? (
                  <Group gap="xs">
                    <Text size="sm">
                      {refusal.message} {refusal instanceof ApiError ? refusal.nextStep : ""}
                    </Text>
                    <Button size="compact-xs" variant="default" onClick={() => void plan.refetch()}>
                      Check again
                    </Button>
                  </Group>
                ) : null}
              </Alert>
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
                <SchemaForm
                  sections={sections}
                  draft={draft}
                  onDraft={onDraft}
                  errors={errors}
                  origin={origin}
                  optionsOf={(field) => optionsFor(field, draft, models.data, datasets.data)}
                  onVariant={(_, value) => method.choose(value)}
                  isSwitching={method.isBusy}
                  afterChoice={
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
                          method.takeBack(path);
                        }}
                        onClose={() => method.setNotice(null)}
                      />
                    ) : null
                  }
                />
              </Tabs.Panel>
              <Tabs.Panel value="yaml">
                <Suspense fallback={<Skeleton height={420} />}>
                  <YamlView
                    draft={draft}
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
                  : isElsewhere
                    ? "The server has to check this configuration first."
                    : ""
              }
              isBusy={launch.isPending}
              onLaunch={() => launch.mutate()}
              action={edited ? "Save changes" : "Launch run"}
            />
            {dataset && !dataset.problem ? <DataPreview dataset={dataset} /> : null}
            {origin && JSON.stringify(origin) !== JSON.stringify(draft) ? (
              <Group gap={6}>
                <span className="changed-mark" aria-hidden />
                <Text size="xs" c="dimmed">
                  differs from the run that this one is a copy of
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

/** A copy of a copy is not "(copy) (copy)". */
const copyName = (name: string): string => `${name.replace(/( \(copy\))+$/, "").slice(0, 193)} (copy)`;
