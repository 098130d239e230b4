import { Container, Skeleton, Stack, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { withValue } from "@/api/config";
import { controlsQuery, datasetsQuery, runQuery } from "@/api/queries";
import type { ConfigDraft, DatasetInfo } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { defaultDraft } from "./form/draft";
import { type FormSection, formSections, type JsonSchema } from "./form/schema";
import { withLikelyTask } from "./form/task";
import { configSchemaQuery, presetsQuery } from "./queries";
import { RunEditor } from "./RunEditor";
import "./new-run.css";

export function NewRunPage() {
  const [params] = useSearchParams();
  const edited = params.get("edit");
  const from = edited ?? params.get("from");
  const title = edited ? "Edit a queued run" : from ? "New run from an existing run" : "New run";
  useTitle(title);
  const schema = useQuery(configSchemaQuery);
  const presets = useQuery(presetsQuery);
  const origin = useQuery({
    ...runQuery(from ?? ""),
    enabled: from !== null,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const as = params.get("as");
  const controls = useQuery({ ...controlsQuery(from ?? ""), enabled: from !== null && as !== null });
  const control = controls.data?.find((candidate) => candidate.key === as);
  const sections = useMemo(
    () => (schema.data ? formSections(schema.data as JsonSchema) : null),
    [schema.data],
  );
  const unknown =
    controls.data && !control ? new Error(`There is no control run "${as}" for run ${from}.`) : null;
  const failed =
    schema.error ??
    presets.error ??
    (from ? origin.error : null) ??
    (as === null ? null : (controls.error ?? unknown));
  const data = from === null ? params.get("data") : null;
  const datasets = useQuery({ ...datasetsQuery, enabled: data !== null });
  const isReady =
    sections &&
    presets.data &&
    (from === null || origin.data) &&
    (as === null || control) &&
    !datasets.isLoading;
  const wanted = presets.data?.find((preset) => preset.key === params.get("preset")) ?? presets.data?.[0];
  const draft = (control?.config ??
    origin.data?.config ??
    wanted?.config ??
    (sections ? defaultDraft(sections) : {})) as ConfigDraft;
  return (
    <Container fluid maw={1480} px={{ base: "sm", sm: "lg" }} py="md">
      <Title order={1} size="h3" mb="md">
        {title}
      </Title>
      {isReady ? (
        <RunEditor
          key={`${from ?? "new"} ${as ?? ""} ${data ?? ""}`}
          sections={sections}
          start={{
            draft: data ? withData(draft, data, sections, datasets.data) : draft,
            name: control || !origin.data ? "" : edited ? origin.data.name : copyName(origin.data.name),
            priority: edited ? (origin.data?.priority ?? 0) : 0,
            tags: origin.data?.tags ?? [],
            notes: "",
            brokenYaml: null,
          }}
          origin={(origin.data?.config as ConfigDraft | undefined) ?? null}
          edited={edited}
          place={params.toString()}
        />
      ) : failed ? (
        <ErrorState
          error={failed}
          onRetry={() => {
            for (const query of [schema, presets, origin, controls]) if (query.error) void query.refetch();
            if (unknown) void controls.refetch();
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

function withData(
  draft: ConfigDraft,
  id: string,
  sections: readonly FormSection[],
  datasets: DatasetInfo[] | undefined,
): ConfigDraft {
  const next = withValue(withValue(draft, "data.id", id), "data.group_column", null);
  return withLikelyTask(draft, next, sections, datasets);
}

/** "name (copy)", also for a run that is a copy itself. */
const copyName = (name: string): string => `${name.replace(/( \(copy\))+$/, "").slice(0, 193)} (copy)`;
