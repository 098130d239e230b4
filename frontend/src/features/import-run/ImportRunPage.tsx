import { Button, Container, FileButton, Group, Loader, Paper, Stack, Text, Title } from "@mantine/core";
import { IconPackageImport } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { http, unwrap } from "@/api/client";
import { ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { bytes } from "@/components/text/format";

const largestBytes = 2_000_000_000;

/** Imports runs from their bundles, which another RankScope exported. */
export function ImportRunPage() {
  useTitle("Import a run");
  const client = useQueryClient();
  const [isOver, setOver] = useState(false);
  const send = useMutation({
    mutationFn: async (file: File) => {
      if (file.size > largestBytes)
        throw new Error(`${file.name} is ${bytes(file.size)}; the limit is ${bytes(largestBytes)}.`);
      return unwrap(
        http.POST("/api/v1/runs/import", {
          body: file as unknown as string,
          bodySerializer: (body) => body,
          headers: { "Content-Type": "application/octet-stream" },
        }),
      );
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
  const imported = send.data;
  const take = (file: File | null | undefined) => file && !send.isPending && send.mutate(file);
  return (
    <Container size="sm" py="md">
      <Stack gap="md">
        <Title order={1} size="h3">
          Import a run
        </Title>
        <Text size="sm">
          A bundle contains everything about a run: its configuration, curves, ranks, logs and result.
          Download it on the run's page under <em>Checkpoints and export</em>, or with{" "}
          <code>rankscope bundle RUN</code>. Import it here to see the run next to your own.
        </Text>
        <Paper
          withBorder
          radius="md"
          p="lg"
          style={{
            borderStyle: "dashed",
            borderColor: isOver ? "var(--mantine-primary-color-filled)" : undefined,
          }}
          data-testid="import-zone"
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            setOver(false);
            take(event.dataTransfer.files[0]);
          }}
        >
          <Group justify="space-between" gap="sm">
            <div>
              <Text size="sm" fw={600}>
                {send.isPending ? `Importing ${send.variables.name}…` : "Drop a bundle here"}
              </Text>
              <Text size="xs" c="dimmed">
                A zip of up to 2 GB. Nothing in it is executed; weights are accepted as safetensors only.
              </Text>
            </div>
            {send.isPending ? (
              <Loader size="sm" aria-label="Importing" />
            ) : (
              <FileButton onChange={take} accept=".zip,application/zip">
                {(props) => (
                  <Button {...props} variant="default" leftSection={<IconPackageImport size={16} />}>
                    Choose a bundle
                  </Button>
                )}
              </FileButton>
            )}
          </Group>
        </Paper>
        {send.error ? <ErrorState error={send.error} title="The bundle was not imported" /> : null}
        {imported ? (
          <Paper withBorder radius="md" p="md" role="status">
            <Group justify="space-between">
              <div>
                <Text size="sm" fw={600}>
                  {imported.name}
                </Text>
                <Text size="xs" c="dimmed">
                  Imported as run {imported.id}, {imported.status}.
                </Text>
              </div>
              <Button component={Link} to={`/runs/${imported.id}`}>
                Open the run
              </Button>
            </Group>
          </Paper>
        ) : null}
      </Stack>
    </Container>
  );
}
