import { Alert, Grid, Stack, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import { moduleStates } from "@/api/packed";
import type { RunDetail, RunStatus } from "@/api/types";
import { budgetFigure } from "@/charts/budget";
import { distributionFigure } from "@/charts/distribution";
import { useLook } from "@/charts/look";
import { Plot } from "@/charts/Plot";
import { Panel } from "@/components/Panel";
import { AccuracyPanel, LossPanel } from "./CurvePanels";
import { frameIndexAt } from "./frames";
import type { LiveRun } from "./live-run";
import { MetricPanel } from "./MetricPanel";
import { RanksPanel } from "./RanksPanel";
import { SteerPanel } from "./SteerPanel";
import "./run.css";

interface OverviewProps {
  run: RunDetail;
  live: LiveRun;
  status: RunStatus;
}

export function Overview({ run, live, status }: OverviewProps) {
  const look = useLook();
  /** The step that a person looks at; null follows the newest snapshot. */
  const [at, setAt] = useState<number | null>(null);
  const index = frameIndexAt(live.frames, at);
  const frame = live.frames[index];
  const states = useMemo(
    () => (frame ? moduleStates(frame, live.modules.length, live.width) : []),
    [frame, live.modules.length, live.width],
  );
  const totalSteps = live.totalSteps ?? run.total_steps;
  const cursor = at === null ? null : (frame?.step ?? null);
  const isFull = run.method === "full";
  const budget = useMemo(
    () => budgetFigure({ planned: run.planned_budget, frames: live.frames, look, totalSteps, cursor }),
    [run.planned_budget, live.frames, look, totalSteps, cursor],
  );
  const distribution = useMemo(
    () =>
      distributionFigure(
        states.map((state) => state.rank),
        live.width,
        look,
      ),
    [states, live.width, look],
  );
  const curves = (
    <>
      <LossPanel run={run} series={live.series} totalSteps={totalSteps} cursor={cursor} />
      <AccuracyPanel run={run} series={live.series} totalSteps={totalSteps} cursor={cursor} />
    </>
  );
  if (isFull) {
    return (
      <Stack gap="md">
        <Alert color="gray" variant="light">
          Full fine-tuning trains every weight: there are no ranks to watch. Launch the same data with dynamic
          rank or LoRA to compare it at a budget.
        </Alert>
        <Grid gap="md">
          <Grid.Col span={{ base: 12, md: 6 }}>
            <LossPanel run={run} series={live.series} totalSteps={totalSteps} cursor={null} />
          </Grid.Col>
          <Grid.Col span={{ base: 12, md: 6 }}>
            <AccuracyPanel run={run} series={live.series} totalSteps={totalSteps} cursor={null} />
          </Grid.Col>
          <Grid.Col span={{ base: 12, md: 6 }}>
            <MetricPanel series={live.series} totalSteps={totalSteps} cursor={null} />
          </Grid.Col>
        </Grid>
      </Stack>
    );
  }
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, lg: 7 }}>
        <Stack gap="md">
          <RanksPanel
            run={run}
            live={live}
            status={status}
            index={index}
            states={states}
            at={at}
            onAt={setAt}
          />
          <Panel title="Modules at each rank" note={frame ? `At step ${frame.step}.` : "\u00a0"}>
            <Plot
              figure={distribution}
              height={170}
              label={`Number of modules at each rank from 0 to ${live.width}.`}
            />
          </Panel>
          <MetricPanel series={live.series} totalSteps={totalSteps} cursor={cursor} />
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, lg: 5 }}>
        <Stack gap="md">
          <Panel title="Budget">
            {run.planned_budget.length || live.frames.length ? (
              <Plot
                figure={budget}
                height={210}
                label={`Planned and actual number of live components by step; ${run.live ?? 0} live now.`}
              />
            ) : (
              <Text size="sm" c="dimmed">
                The plan appears when the number of steps is known.
              </Text>
            )}
          </Panel>
          <SteerPanel run={run} status={status} />
          {curves}
        </Stack>
      </Grid.Col>
    </Grid>
  );
}
