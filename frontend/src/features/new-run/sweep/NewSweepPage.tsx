import { Container, Skeleton, Stack, Title } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { http, unwrap } from "@/api/client";
import { valueAt } from "@/api/config";
import { runQuery } from "@/api/queries";
import type { ConfigDraft, RunDetail, SweepDetail } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { formSections, type JsonSchema } from "@/features/new-run/form/schema";
import { configSchemaQuery, presetsQuery } from "@/features/new-run/queries";
import { type AskedSweep, askedOf } from "./request";
import { SweepEditor } from "./SweepEditor";
import "@/features/new-run/new-run.css";

const sweepQuery = (id: string) =>
  queryOptions({
    queryKey: ["sweep-to-copy", id],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/sweeps/{sweep_id}", { signal, params: { path: { sweep_id: id } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** A sweep from scratch, `?from=` another sweep, or around the configuration of `?run=`. */
export function NewSweepPage() {
  useTitle("New sweep");
  const [params] = useSearchParams();
  const from = params.get("from");
  const run = params.get("run");
  const schema = useQuery(configSchemaQuery);
  const presets = useQuery(presetsQuery);
  const copied = useQuery({ ...sweepQuery(from ?? ""), enabled: from !== null });
  const origin = useQuery({
    ...runQuery(run ?? ""),
    enabled: run !== null,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const sections = useMemo(
    () => (schema.data ? formSections(schema.data as JsonSchema) : null),
    [schema.data],
  );
  const failed = schema.error ?? presets.error ?? (from ? copied.error : null) ?? (run ? origin.error : null);
  const isReady = sections && presets.data && (from === null || copied.data) && (run === null || origin.data);
  return (
    <Container fluid maw={1480} px={{ base: "sm", sm: "lg" }} py="md">
      <Title order={1} size="h3" mb="md">
        New sweep
      </Title>
      {isReady ? (
        <SweepEditor
          key={`${from} ${run}`}
          sections={sections}
          start={
            copied.data
              ? copyOf(copied.data)
              : origin.data
                ? aroundRun(origin.data)
                : firstSweep((presets.data[0]?.config ?? {}) as ConfigDraft)
          }
        />
      ) : failed ? (
        <ErrorState
          error={failed}
          onRetry={() => {
            for (const query of [schema, presets, copied, origin]) if (query.error) void query.refetch();
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

const firstSweep = (config: ConfigDraft): AskedSweep => ({
  name: "Learning rate",
  notes: "",
  config,
  rows: [
    { key: 0, name: "training.learning_rate", kind: "log", values: [], low: 1e-4, high: 3e-2, count: 4 },
  ],
  kind: "random",
  options: { "search.points": 10 },
  seeds: ["0"],
});

/** Learning rates up to ten times lower or higher than that of the run. */
function aroundRun({ name, config }: RunDetail): AskedSweep {
  const sweep = firstSweep(config as ConfigDraft);
  const rate = Number(valueAt(sweep.config, "training.learning_rate"));
  const low = Number((rate / 10).toPrecision(4));
  const high = Number(Math.min(1, rate * 10).toPrecision(4));
  return {
    ...sweep,
    name: `Around ${name}`.slice(0, 200),
    rows: sweep.rows.map((row) => ({ ...row, low, high })),
  };
}

/** The design as it was requested, without rungs and the metric's title, which are derived from it. */
function copyOf(sweep: SweepDetail): AskedSweep {
  const { config, parameters, search, seeds, metric, parallel, stop, stop_runs } = sweep.design;
  const body = { config, parameters, search, seeds, metric: metric.name, parallel, stop, stop_runs };
  const asked = askedOf({ ...body, name: `${sweep.name} (copy)`.slice(0, 200), notes: sweep.notes });
  return "error" in asked ? firstSweep(config as ConfigDraft) : asked;
}
