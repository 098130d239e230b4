import { Container, Group, Skeleton, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { ModelInfo } from "@/api/types";
import { Confirm } from "@/components/feedback/Confirm";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { modelDownloadsQuery } from "@/components/hub/downloads";
import { useTitle } from "@/components/navigation/use-title";
import { bytes } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { Downloads } from "./Downloads";
import { ModelCard } from "./ModelCard";
import { modelsQuery, useDeleteModel } from "./queries";
import "./models.css";

const matches = (model: ModelInfo, wanted: string): boolean =>
  [model.id, model.architecture, model.license, model.hub_id].some((text) =>
    text?.toLowerCase().includes(wanted.trim().toLowerCase()),
  );

/** Every model of the installation: what it is, which runs use it, and what is wrong with those that can't be used. */
export function ModelsPage() {
  useTitle("Models");
  const downloads = useQuery(modelDownloadsQuery);
  const models = useQuery(modelsQuery(downloads.data?.filter((one) => one.status === "done").length ?? 0));
  const [wanted, setWanted] = useState("");
  const [leaving, setLeaving] = useState<ModelInfo | null>(null);
  const remove = useDeleteModel(() => setLeaving(null));
  const shown = models.data?.filter((model) => matches(model, wanted));
  return (
    <Container size="lg" px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <Group justify="space-between" align="flex-end" gap="xs">
          <div>
            <Title order={1} size="h3">
              Models
            </Title>
            {models.data ? <Totals models={models.data} /> : null}
          </div>
          <TextInput
            aria-label="Search models"
            placeholder="Name, architecture, license"
            leftSection={<IconSearch size={15} />}
            value={wanted}
            onChange={(event) => setWanted(event.currentTarget.value)}
            maxLength={200}
            w={{ base: "100%", xs: 260 }}
          />
        </Group>
        <Downloads />
        {models.isPending ? <Skeleton h={140} radius="md" /> : null}
        {models.error ? <ErrorState error={models.error} onRetry={() => void models.refetch()} /> : null}
        {shown?.map((model) => (
          <ModelCard key={model.id} model={model} onDelete={() => setLeaving(model)} />
        ))}
        {shown?.length === 0 ? <Nothing isFiltered={models.data?.length !== 0} /> : null}
      </Stack>
      <Confirm
        opened={leaving !== null}
        title={`Delete ${leaving?.name ?? ""}?`}
        action="Delete model"
        isBusy={remove.isPending}
        onConfirm={() => leaving && remove.mutate(leaving)}
        onClose={() => setLeaving(null)}
      >
        {leaving ? <Losses model={leaving} /> : null}
      </Confirm>
    </Container>
  );
}

function Totals({ models }: { models: ModelInfo[] }) {
  const broken = models.filter((model) => model.problem).length;
  const size = models.reduce((sum, model) => sum + model.size_bytes, 0);
  return (
    <Text size="sm" c="dimmed">
      {plural(models.length, "model")}, {bytes(size)}
      {broken ? `, ${broken} can't be used` : ""}
    </Text>
  );
}

function Losses({ model }: { model: ModelInfo }) {
  return (
    <Stack gap={6}>
      <span>
        The folder is deleted from the server's disk{model.size_bytes ? ` (${bytes(model.size_bytes)})` : ""}.
        This can't be undone.
      </span>
      {model.n_runs ? (
        <span>
          {plural(model.n_runs, "run")} used it. Curves, ranks and adapters stay, but you can no longer
          resume, fork or try {model.n_runs === 1 ? "this run" : "these runs"}.
        </span>
      ) : (
        <span>No run used it.</span>
      )}
    </Stack>
  );
}

const Nothing = ({ isFiltered }: { isFiltered: boolean }) =>
  isFiltered ? (
    <EmptyState title="No matching models">Search for other words.</EmptyState>
  ) : (
    <EmptyState title="No models yet">
      Download one above, or copy a model's folder into models/ in the data folder.
    </EmptyState>
  );
