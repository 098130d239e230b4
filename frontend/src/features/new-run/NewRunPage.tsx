import {
  Alert,
  Container,
  Grid,
  Group,
  NumberInput,
  Skeleton,
  Stack,
  Tabs,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { ApiError, http, unwrap } from "@/api/client";
import {
  configSchemaQuery,
  controlsQuery,
  datasetsQuery,
  modelsQuery,
  presetsQuery,
  runQuery,
} from "@/api/queries";
import type { ConfigDraft, RunConfig } from "@/api/types";
import { ErrorState } from "@/components/states";
import { told } from "@/components/toast";
import { useTitle } from "@/components/use-title";
import { DataPreview } from "./DataPreview";
import { allPaths, defaultDraft, problemsByField } from "./draft";
import "./new-run.css";
import { datasetOf, optionsFor } from "./options";
import { PlanPanel } from "./PlanPanel";
import { PresetCards } from "./PresetCards";
import { SchemaForm } from "./SchemaForm";
import { type FormSection, formSections, type JsonSchema } from "./schema";
import { usePlan } from "./use-plan";

const TextViews = lazy(() => import("./TextViews"));

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
            control ? "" : origin.data ? (edited ? origin.data.name : `${origin.data.name} (copy)`) : ""
          }
          startPriority={edited ? (origin.data?.priority ?? 0) : 0}
          edited={edited}
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
  /** The queued run whose configuration is written, in place of a new run's. */
  edited: string | null;
}

function Editor({ sections, start, origin, startName, startPriority, edited }: EditorProps) {
  const [draft, setDraft] = useState<ConfigDraft>(start);
  const [name, setName] = useState(startName);
  const [priority, setPriority] = useState(startPriority);
  const [tab, setTab] = useState<string | null>("form");
  const [checked] = useDebouncedValue(draft, 350);
  const plan = usePlan(checked);
  const presets = useQuery(presetsQuery);
  const models = useQuery(modelsQuery);
  const datasets = useQuery(datasetsQuery);
  const paths = useMemo(() => allPaths(sections), [sections]);
  const navigate = useNavigate();
  const client = useQueryClient();

  const launch = useMutation({
    mutationFn: async () => {
      if (edited) {
        const params = { path: { run_id: edited } };
        const config = draft as unknown as RunConfig;
        const run = await unwrap(http.PUT("/api/v1/runs/{run_id}/config", { params, body: { config } }));
        const wanted = name.trim() || startName;
        if (wanted === startName && priority === startPriority) return run;
        return unwrap(http.PATCH("/api/v1/runs/{run_id}", { params, body: { name: wanted, priority } }));
      }
      return unwrap(
        http.POST("/api/v1/runs", {
          body: {
            config: draft as unknown as RunConfig,
            name: name.trim() || null,
            tags: [],
            notes: "",
            priority,
          },
        }),
      );
    },
    onSuccess: (run) => {
      told(edited ? `${run.name}: changed.` : `${run.name}: launched.`);
      void client.invalidateQueries({ queryKey: ["runs"] });
      void client.invalidateQueries({ queryKey: ["run", run.id] });
      void navigate(`/runs/${run.id}`);
    },
  });
  // A refusal is about the configuration that was sent: it goes when that changes.
  const { reset } = launch;
  useEffect(() => reset(), [draft, name, reset]);

  const refusal = launch.error ?? plan.error;
  const problems = refusal instanceof ApiError ? refusal.fields : [];
  const { fields: errors, others } = problemsByField(problems, paths);
  const nameError = problems.find((problem) => problem.field === "name")?.message;
  const isElsewhere = refusal && problems.length === 0;
  const dataset = datasetOf(datasets.data, draft);

  return (
    <Stack gap="md">
      <PresetCards presets={presets.data ?? []} draft={draft} onChoose={setDraft} />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Stack gap="md">
            <Group gap="md" align="flex-start" wrap="nowrap">
              <TextInput
                label="Name"
                placeholder="Made from method, model and data"
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
                maxLength={200}
                error={nameError}
                flex={1}
              />
              <NumberInput
                label="Priority"
                title="Higher runs first; equal ones in the order in which they were queued."
                value={priority}
                onChange={(next) => setPriority(Number(next) || 0)}
                min={-1000}
                max={1000}
                allowDecimal={false}
                w={96}
              />
            </Group>
            {others.length > 0 || isElsewhere ? (
              <Alert color="red" variant="light" role="alert" title="The configuration cannot work yet">
                {others.map((sentence) => (
                  <Text size="sm" key={sentence}>
                    {sentence}
                  </Text>
                ))}
                {isElsewhere ? (
                  <Text size="sm">
                    {refusal.message} {refusal instanceof ApiError ? refusal.nextStep : ""}
                  </Text>
                ) : null}
              </Alert>
            ) : null}
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
                  onDraft={setDraft}
                  errors={errors}
                  origin={origin}
                  optionsOf={(field) => optionsFor(field, draft, models.data, datasets.data)}
                />
              </Tabs.Panel>
              <Tabs.Panel value="yaml">
                <Suspense fallback={<Skeleton height={420} />}>
                  <TextViews kind="yaml" draft={draft} name={name} onDraft={setDraft} />
                </Suspense>
              </Tabs.Panel>
              <Tabs.Panel value="curl">
                <Suspense fallback={<Skeleton height={420} />}>
                  <TextViews kind="curl" draft={draft} name={name} onDraft={setDraft} />
                </Suspense>
              </Tabs.Panel>
            </Tabs>
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Stack gap="md" className="beside-form">
            <PlanPanel
              plan={plan.data}
              isChecking={plan.isFetching || checked !== draft}
              problems={problems.length}
              isBusy={launch.isPending}
              onLaunch={() => launch.mutate()}
              action={edited ? "Save changes" : "Launch run"}
            />
            {dataset ? <DataPreview dataset={dataset} /> : null}
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
    </Stack>
  );
}
