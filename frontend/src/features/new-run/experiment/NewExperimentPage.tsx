import { Container, Skeleton, Stack, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { runQuery } from "@/api/queries";
import type { ConfigDraft } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { methodsQuery } from "@/components/runs/methods";
import { formSections, type JsonSchema } from "@/features/new-run/form/schema";
import { configSchemaQuery, presetsQuery } from "@/features/new-run/queries";
import { ExperimentEditor } from "./ExperimentEditor";
import "@/features/new-run/new-run.css";

/** Asks whether adaptive rank helps: model, data, budgets, methods and seeds in one form. */
export function NewExperimentPage() {
  useTitle("New experiment");
  const [params] = useSearchParams();
  const from = params.get("from");
  const schema = useQuery(configSchemaQuery);
  const presets = useQuery(presetsQuery);
  const methods = useQuery(methodsQuery);
  const origin = useQuery({
    ...runQuery(from ?? ""),
    enabled: from !== null,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const sections = useMemo(
    () => (schema.data ? formSections(schema.data as JsonSchema) : null),
    [schema.data],
  );
  const failed = schema.error ?? presets.error ?? methods.error ?? (from ? origin.error : null);
  const isReady = sections && presets.data && methods.data && (from === null || origin.data);
  return (
    <Container fluid maw={1480} px={{ base: "sm", sm: "lg" }} py="md">
      <Title order={1} size="h3" mb="md">
        New experiment
      </Title>
      {isReady ? (
        <ExperimentEditor
          key={from}
          sections={sections}
          start={(origin.data?.config ?? presets.data[0]?.config ?? {}) as ConfigDraft}
        />
      ) : failed ? (
        <ErrorState
          error={failed}
          onRetry={() => {
            for (const query of [schema, presets, methods, origin]) if (query.error) void query.refetch();
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
