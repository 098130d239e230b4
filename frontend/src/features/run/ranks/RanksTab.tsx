import { Alert, Grid, Stack } from "@mantine/core";
import { Suspense, useCallback, useDeferredValue, useRef, useState } from "react";
import type { RunDetail, RunStatus } from "@/api/types";
import { useMethod } from "@/components/runs/methods";
import { lazyPart } from "@/components/server/load-part";
import { EvaluationPanel, LossPanel } from "@/features/run/curves/LiveCurvePanels";
import type { LiveRun } from "@/features/run/live/live-run";
import { useCalm } from "@/features/run/live/use-calm";
import { frameIndexAt, nearestIndex } from "@/features/run/playback/snapshot-index";
import type { StepCursor } from "@/features/run/playback/step-cursor";
import { BudgetPanel } from "./BudgetPanel";
import { DistributionPanel } from "./DistributionPanel";
import { RanksPanel } from "./RanksPanel";
import { SteerPanel } from "./SteerPanel";
import { type RankSettings, useRankSettings } from "./use-rank-settings";

// Loaded when a module is first opened.
const ModuleDrawer = lazyPart(
  () => import("./ModuleDrawer"),
  (part) => part.ModuleDrawer,
);

/** While events arrive, only the heatmap is drawn with each batch; the charts next to it are drawn this often. */
const besideMs = 1000;

interface RanksTabProps {
  run: RunDetail;
  live: LiveRun;
  status: RunStatus;
}

export function RanksTab({ run, live, status }: RanksTabProps) {
  return useMethod(run.method).has_ranks ? (
    <Ranks run={run} live={live} status={status} />
  ) : (
    <CurvesAlone run={run} live={live} />
  );
}

function Ranks({ run, live, status }: RanksTabProps) {
  const { snapshots } = live;
  const { prunes } = useMethod(run.method);
  const [settings, change] = useRankSettings();
  const [hasOpened, setHasOpened] = useState(settings.module !== null);
  if (!hasOpened && settings.module !== null) setHasOpened(true);
  /** The step under the pointer in a chart, shown while the pointer is there. */
  const [pointed, setPointed] = useState<number | null>(null);
  /** Had the focus when a module was opened; gets it back. */
  const opener = useRef<Element | null>(null);
  // A choice takes precedence over the step under the pointer.
  const choose = useCallback(
    (part: Partial<RankSettings>) => {
      setPointed(null);
      if (typeof part.module === "number") opener.current = document.activeElement;
      change(part);
    },
    [change],
  );
  const index = pointed === null ? frameIndexAt(snapshots, settings.at) : nearestIndex(snapshots, pointed);
  // Charts are drawn after the slider has moved, and only for the latest step.
  const drawn = Math.min(useDeferredValue(index), snapshots.length - 1);
  // The bars are drawn after the heatmap, once the step settles.
  const rested = Math.min(useDeferredValue(drawn), snapshots.length - 1);
  const totalSteps = live.totalSteps ?? run.total_steps;
  const isFollowing = settings.at === null && pointed === null;
  const cursor: StepCursor = {
    step: isFollowing ? null : (snapshots[index]?.step ?? null),
    preview: setPointed,
    pin: (step) => {
      const at = nearestIndex(snapshots, step);
      choose({ at: at === snapshots.length - 1 ? null : (snapshots[at]?.step ?? null) });
    },
  };
  const beside = useCalm(live, besideMs);
  const bars = useCalm(snapshots[rested], isFollowing ? besideMs : 0);
  const curves = { run, series: beside.series, totalSteps, cursor };
  return (
    <>
      <Grid gap="md">
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Stack gap="md">
            <RanksPanel
              run={run}
              live={live}
              status={status}
              index={index}
              drawn={drawn}
              settings={settings}
              onSettings={choose}
            />
            <DistributionPanel name={run.name} modules={live.modules} width={live.width} snapshot={bars} />
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 5 }}>
          <Stack gap="md">
            <BudgetPanel run={run} snapshots={beside.snapshots} totalSteps={totalSteps} cursor={cursor} />
            <SteerPanel run={run} status={status} />
            <LossPanel {...curves} />
            <EvaluationPanel {...curves} />
          </Stack>
        </Grid.Col>
      </Grid>
      {hasOpened ? (
        <Suspense>
          <ModuleDrawer
            runId={run.id}
            live={live}
            module={settings.module}
            cursor={cursor}
            status={status}
            hasLedger={prunes}
            onClose={() => {
              choose({ module: null });
              requestAnimationFrame(() => focusAgain(opener.current));
            }}
          />
        </Suspense>
      ) : null}
    </>
  );
}

/** The element, or the heatmap if the module was opened by a link or a click on the chart. */
function focusAgain(element: Element | null): void {
  const isThere = element instanceof HTMLElement && element.isConnected && element !== document.body;
  const target = isThere ? element : document.querySelector<HTMLElement>('[data-testid="rank-heatmap"]');
  target?.focus({ preventScroll: true });
}

function CurvesAlone({ run, live }: Pick<RanksTabProps, "run" | "live">) {
  const curves = { run, series: live.series, totalSteps: live.totalSteps ?? run.total_steps, cursor: null };
  return (
    <Stack gap="md">
      <Alert color="gray" variant="light">
        {useMethod(run.method).rank_note} To compare it at a rank budget, launch the same data with a method
        that has ranks.
      </Alert>
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 6 }}>
          <LossPanel {...curves} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 6 }}>
          <EvaluationPanel {...curves} />
        </Grid.Col>
      </Grid>
    </Stack>
  );
}
