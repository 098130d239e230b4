import { Button, Code, Grid, Group, Skeleton, Stack, Text } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import type { MethodInfo, RunDetail } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { scrolledByKeys } from "@/components/layout/scroll";
import { useMethod } from "@/components/runs/methods";
import { CopyTextButton } from "@/components/text/CopyTextButton";
import { bytes } from "@/components/text/format";
import { CheckpointsPanel } from "./CheckpointsPanel";
import { usageQuery } from "./queries";

interface Offer {
  name: string;
  what: string;
  file: string;
  /** Why it is not available yet; null if it is. */
  waits: string | null;
}

/** Downloads of a run, and its checkpoints. */
export default function ExportTab({ run }: { run: RunDetail }) {
  const method = useMethod(run.method);
  const usage = useQuery({ ...usageQuery(run.id), enabled: run.artifact !== null });
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, lg: 6 }}>
        <Stack gap="md">
          <Panel title="Download">
            <Stack gap="sm">
              {offersOf(run, method, usage.data?.size_bytes ?? {}).map((offer) => (
                <OfferLine key={offer.file} run={run} offer={offer} />
              ))}
            </Stack>
          </Panel>
          {run.artifact ? <UsePanel run={run} /> : null}
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, lg: 6 }}>
        <CheckpointsPanel run={run} />
      </Grid.Col>
    </Grid>
  );
}

const about = (size: number | undefined): string => (size === undefined ? "" : ` ${bytes(size)}.`);

function offersOf(run: RunDetail, method: MethodInfo, sizes: Record<string, number>): Offer[] {
  const afterTraining = run.artifact ? null : "Available when training has ended.";
  const offers: Offer[] = [
    ...(method.artifact === "model"
      ? [{ name: "Model", what: "The full model, for transformers.", file: "adapter", waits: afterTraining }]
      : [
          {
            name: "Adapter",
            what: `A plain LoRA that every library loads (PEFT, vLLM, llama.cpp, …); all modules are padded to one rank.${about(sizes["uniform"])}`,
            file: "adapter?layout=uniform",
            waits: afterTraining,
          },
          {
            name: "Adapter, compact",
            what: `Each module at its own rank: smaller, but only for PEFT and transformers.${about(sizes["compact"])} llama.cpp does not read it correctly.`,
            file: "adapter?layout=compact",
            waits: afterTraining,
          },
        ]),
    {
      name: "rank_pattern.json",
      what: "The rank of each module, for PEFT's LoraConfig.",
      file: "rank_pattern.json",
      waits: afterTraining,
    },
    {
      name: "Report",
      what: "One HTML page to share: result, curves, ranks, configuration. Opens without a server.",
      file: "report.html",
      waits: null,
    },
    {
      name: "Bundle",
      what: "Everything about the run in a zip: events, metrics, ledger, logs, configuration, report and result.",
      file: "bundle",
      waits: null,
    },
  ];
  return offers.filter((offer) => method.has_ranks || offer.file !== "rank_pattern.json");
}

function OfferLine({ run, offer }: { run: RunDetail; offer: Offer }) {
  return (
    <Group justify="space-between" wrap="nowrap" align="flex-start">
      <div style={{ minWidth: 0 }}>
        <Text size="sm" fw={600}>
          {offer.name}
        </Text>
        <Text size="xs" c="dimmed">
          {offer.waits ?? offer.what}
        </Text>
      </div>
      <Button
        component="a"
        href={`/api/v1/runs/${encodeURIComponent(run.id)}/${offer.file}`}
        download={offer.file === "rank_pattern.json" ? `${run.id}-rank_pattern.json` : true}
        variant="default"
        size="xs"
        style={{ flexShrink: 0 }}
        leftSection={<IconDownload size={14} />}
        aria-label={`Download ${offer.name}`}
        data-testid={`export-${offer.file.replace("?layout=", "-")}`}
        {...(offer.waits ? { "data-disabled": true, "aria-disabled": true, onClick: prevent } : {})}
      >
        Download
      </Button>
    </Group>
  );
}

const prevent = (event: { preventDefault: () => void }) => event.preventDefault();

function UsePanel({ run }: { run: RunDetail }) {
  const usage = useQuery(usageQuery(run.id));
  if (usage.error) return <ErrorState error={usage.error} onRetry={() => void usage.refetch()} />;
  if (!usage.data) return <Skeleton height={260} />;
  const { code, base_model: base } = usage.data;
  return (
    <Panel
      title="Use it"
      note={
        run.artifact === "model"
          ? "Unpack the zip into a folder with the same name, next to the script."
          : base === null
            ? "The base model is no longer in this installation: set its folder or hub name in the script."
            : "Unpack the zip into a folder with the same name, next to the script. The base model is loaded from the same place as in the run."
      }
      actions={<CopyTextButton text={code} />}
    >
      <Code block {...scrolledByKeys}>
        {code}
      </Code>
      <Text size="xs" c="dimmed" mt={6}>
        From a terminal: <Code>rankscope export {run.id}</Code> writes the same zip.
      </Text>
    </Panel>
  );
}
