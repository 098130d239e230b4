import { Button, Code, CopyButton, Grid, Group, Stack, Text } from "@mantine/core";
import { IconCheck, IconCopy, IconDownload } from "@tabler/icons-react";
import type { RunDetail } from "@/api/types";
import { Panel } from "@/components/Panel";
import { scrolledByKeys } from "@/components/scroll";
import { CheckpointsPanel } from "./CheckpointsPanel";

interface Offer {
  name: string;
  what: string;
  file: string;
  /** Why it cannot be had yet; null when it can. */
  waits: string | null;
}

/** What can be taken away from a run, and what it can go on from. */
export default function ExportTab({ run }: { run: RunDetail }) {
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, lg: 6 }}>
        <Stack gap="md">
          <Panel title="Download">
            <Stack gap="sm">
              {offersOf(run).map((offer) => (
                <OfferLine key={offer.file} run={run} offer={offer} />
              ))}
            </Stack>
          </Panel>
          {run.artifact === "adapter" ? <UsePanel run={run} /> : null}
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, lg: 6 }}>
        <CheckpointsPanel run={run} />
      </Grid.Col>
    </Grid>
  );
}

function offersOf(run: RunDetail): Offer[] {
  const afterTraining = run.artifact ? null : "It is written when training ends.";
  const isFull = run.method === "full";
  const offers: Offer[] = [
    {
      name: isFull ? "Model" : "Adapter",
      what: isFull
        ? "As transformers loads it."
        : "A plain LoRA, as PEFT loads it. Needs nothing of RankScope.",
      file: "adapter",
      waits: afterTraining,
    },
    {
      name: "rank_pattern.json",
      what: "The rank of each module, as PEFT's LoraConfig takes it.",
      file: "rank_pattern.json",
      waits: afterTraining,
    },
    {
      name: "Report",
      what: "One page for a colleague: result, curves, ranks, configuration. Opens without a server.",
      file: "report.html",
      waits: null,
    },
    {
      name: "Bundle",
      what: "Everything of the run in a zip: events, metrics, ledger, logs, configuration, report and result.",
      file: "bundle",
      waits: null,
    },
  ];
  return offers.filter((offer) => !(isFull && offer.file === "rank_pattern.json"));
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
        data-testid={`export-${offer.file}`}
        {...(offer.waits ? { "data-disabled": true, "aria-disabled": true, onClick: prevent } : {})}
      >
        Download
      </Button>
    </Group>
  );
}

const prevent = (event: { preventDefault: () => void }) => event.preventDefault();

function UsePanel({ run }: { run: RunDetail }) {
  const names = run.environment["labels"];
  const labels = Array.isArray(names) ? names.length : "NUMBER_OF_LABELS";
  const code = [
    "from peft import PeftModel",
    "from transformers import AutoModelForSequenceClassification",
    "",
    `base = AutoModelForSequenceClassification.from_pretrained("${run.model_id}", num_labels=${labels})`,
    `model = PeftModel.from_pretrained(base, "${run.id}-adapter").merge_and_unload()`,
  ].join("\n");
  return (
    <Panel
      title="Use it"
      note="Unpack the zip beside the script; the base model is named by its folder or its name on a hub."
      actions={
        <CopyButton value={code}>
          {({ copied, copy }) => (
            <Button
              size="compact-xs"
              variant="default"
              onClick={copy}
              leftSection={copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
            >
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </CopyButton>
      }
    >
      <Code block {...scrolledByKeys}>
        {code}
      </Code>
      <Text size="xs" c="dimmed" mt={6}>
        The same from a terminal: <Code>rankscope export {run.id}</Code>.
      </Text>
    </Panel>
  );
}
