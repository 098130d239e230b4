import { Alert, Anchor, Group, Progress, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "react-router";
import type { SweepDetail } from "@/api/types";
import { unitOf, written } from "@/components/text/metric-unit";
import { TrialsPage } from "@/components/trials/TrialsPage";
import { AnalysisPanels } from "./AnalysisPanels";
import { LeaderboardPanel } from "./LeaderboardPanel";
import { sweepQuery } from "./queries";
import { SweepHeader } from "./SweepHeader";
import { progressText, valuesText } from "./sweep-text";
import "./sweeps.css";

/** One sweep: its progress, its leaderboard, and the effect of its parameters. */
export function SweepPage() {
  const { id = "" } = useParams();
  const sweep = useQuery(sweepQuery(id));
  const [marked, setMarked] = useState<number | null>(null);
  return (
    <TrialsPage noun="sweep" query={sweep}>
      {(found) => (
        <>
          <SweepHeader sweep={found} />
          <State sweep={found} />
          <LeaderboardPanel key={`board ${id}`} sweep={found} marked={marked} onMark={setMarked} />
          <AnalysisPanels key={`analysis ${id}`} sweep={found} marked={marked} onMark={setMarked} />
        </>
      )}
    </TrialsPage>
  );
}

function State({ sweep }: { sweep: SweepDetail }) {
  const { trials, expected_trials: all, best, message, next_step, status } = sweep;
  const unit = unitOf(sweep.metric);
  const share = (amount: number) => (all ? (100 * amount) / all : 0);
  return (
    <Alert color={status === "failed" ? "red" : "blue"} variant="light" py={8}>
      <Group justify="space-between" gap="xs">
        <Text size="sm" className="numbers" data-testid="sweep-state">
          {[message, next_step, progressText(sweep)].filter(Boolean).join(" ")}
          {best
            ? ` Best ${sweep.metric.title}: ${written(best.mean, unit)}${best.sd === null ? "" : ` ± ${written(best.sd, unit)}`} with ${valuesText(best.values)}.`
            : ""}
        </Text>
        <Anchor
          component={Link}
          to={`/?${new URLSearchParams({ filter: `sweep = "${sweep.id}"` })}`}
          size="sm"
        >
          Show its runs
        </Anchor>
      </Group>
      <Progress.Root size="sm" mt={6}>
        <Progress.Section value={share(trials.done)} color="teal" aria-label="Trials with a result" />
        <Progress.Section value={share(trials.pruned)} color="yellow" aria-label="Trials stopped early" />
        <Progress.Section value={share(trials.failed)} color="red" aria-label="Failed trials" />
      </Progress.Root>
    </Alert>
  );
}
