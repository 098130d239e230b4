import { Button, Text } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { SweepSummary } from "@/api/types";
import { unitOf, written } from "@/components/text/metric-unit";
import { TrialsListPage } from "@/components/trials/TrialsListPage";
import { TrialsStatus } from "@/components/trials/TrialsStatus";
import { sweepsQuery } from "./queries";
import { searchTitles, shortName, trialsText, valuesText } from "./sweep-text";

/** Every sweep, the newest first. */
export function SweepsPage() {
  return (
    <TrialsListPage
      title="Sweeps"
      lead="One configuration with many values of some of its fields: which are best?"
      query={useQuery(sweepsQuery)}
      actions={
        <Button component={Link} to="/sweeps/new" leftSection={<IconPlus size={16} />}>
          New sweep
        </Button>
      }
      empty={{
        title: "No sweeps yet",
        text: "A sweep trains a configuration with several values of some fields, by grid, at random, by TPE or by successive halving, and ranks the results over the seeds.",
      }}
      address="/sweeps"
      noun="Sweep"
      columns={[
        { title: "Status", cell: ({ status }) => <TrialsStatus status={status} /> },
        { title: "Trials", cell: trialsText },
        { title: "Search", cell: (sweep) => <Search sweep={sweep} /> },
        { title: "Best so far", cell: (sweep) => <Best sweep={sweep} /> },
      ]}
      minWidth={720}
    />
  );
}

function Search({ sweep: { kind, parameters } }: { sweep: SweepSummary }) {
  return (
    <>
      <Text size="sm">{searchTitles[kind]}</Text>
      <Text size="xs" c="dimmed">
        {parameters.map(shortName).join(", ")}
      </Text>
    </>
  );
}

function Best({ sweep: { best, metric } }: { sweep: SweepSummary }) {
  if (!best)
    return (
      <Text span size="sm" c="dimmed">
        –
      </Text>
    );
  const unit = unitOf(metric);
  return (
    <>
      <Text size="sm">
        {written(best.mean, unit)}
        {best.sd === null ? "" : ` ± ${written(best.sd, unit)}`}
      </Text>
      <Text size="xs" c="dimmed">
        {valuesText(best.values)}
      </Text>
    </>
  );
}
