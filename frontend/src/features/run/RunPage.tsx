import { Button, Container, Skeleton, Stack, Tabs } from "@mantine/core";
import { type ComponentType, lazy, memo, Suspense, useEffect } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import { ApiError } from "@/api/client";
import { loadPlotly } from "@/charts/plot/load-plotly";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";
import { loadPart } from "@/components/server/load-part";
import { standingWarnings } from "@/features/run/live/timeline";
import { useLiveRun } from "@/features/run/live/use-live-run";
import { RanksTab } from "@/features/run/ranks/RanksTab";
import { AlertBar } from "./AlertBar";
import { RunHeader } from "./RunHeader";
import { TabList } from "./TabList";
import "./run.css";

/** Rendered again only if its own data has changed, not with every event of the run. */
const lazyTab = <P extends object>(load: () => Promise<{ default: ComponentType<P> }>) => memo(lazy(load));

// Tabs are loaded when they are first opened, except for the ranks, which are shown first.
const CurvesTab = lazyTab(() => loadPart(() => import("@/features/run/curves/CurvesTab")));
const LogTab = lazyTab(() => loadPart(() => import("@/features/run/log/LogTab")));
const HardwareTab = lazyTab(() => loadPart(() => import("@/features/run/curves/HardwareTab")));
const HistoryTab = lazyTab(() => loadPart(() => import("@/features/run/history/HistoryTab")));
const ConfigTab = lazyTab(() => loadPart(() => import("./ConfigTab")));
const ExportTab = lazyTab(() => loadPart(() => import("@/features/run/outputs/ExportTab")));
const ResultTab = lazyTab(() => loadPart(() => import("@/features/run/outputs/ResultTab")));
const TryTab = lazyTab(() => loadPart(() => import("@/features/run/outputs/TryTab")));
const NotesTab = lazyTab(() => loadPart(() => import("./NotesTab")));

/** In the order of the tabs; the first is shown without `?tab=`. */
const tabs = [
  ["ranks", "Ranks"],
  ["curves", "Curves"],
  ["log", "Log"],
  ["hardware", "Hardware"],
  ["history", "History"],
  ["config", "Config"],
  ["result", "Result"],
  ["export", "Checkpoints and export"],
  ["try", "Try it"],
  ["notes", "Notes"],
] as const;

export function RunPage() {
  const { id = "" } = useParams();
  // A new run is a new page: no state of the previous run may remain.
  return <RunView key={id} id={id} />;
}

function RunView({ id }: { id: string }) {
  // Load the chart library while the history is being read.
  useEffect(() => void loadPlotly(), []);
  const [params, setParams] = useSearchParams();
  const { live, detail, history, connection, timeline, tail, isQuiet } = useLiveRun(id);
  const run = detail.data;
  useTitle(run?.name ?? "Run");
  const tab = tabs.find(([name]) => name === params.get("tab"))?.[0] ?? "ranks";

  if (!run || !live) {
    const error = detail.error ?? history.error;
    const isUnknown = detail.error instanceof ApiError && detail.error.status === 404;
    return (
      <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
        {isUnknown ? (
          <EmptyState
            title="Run not found"
            action={
              <Button component={Link} to="/">
                All runs
              </Button>
            }
          >
            There is no run {id}. It may have been deleted.
          </EmptyState>
        ) : error ? (
          <ErrorState
            error={error}
            title="Could not load this run"
            onRetry={() => {
              void detail.refetch();
              void history.refetch();
            }}
          />
        ) : (
          <LoadingRun />
        )}
      </Container>
    );
  }
  // The event stream is often ahead of the polled row; sequence numbers show which one is newer.
  const status = live.lastSeq >= run.last_seq ? live.status : run.status;
  return (
    <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <RunHeader run={run} live={live} status={status} connection={connection} />
        <AlertBar run={run} status={status} warnings={standingWarnings(timeline.events)} isQuiet={isQuiet} />
        <Tabs
          value={tab}
          onChange={(next) =>
            setParams(
              () => {
                // Keeps the shown step and module, also if they are in the address but not rendered yet.
                const after = new URLSearchParams(window.location.search);
                if (next && next !== "ranks") after.set("tab", next);
                else after.delete("tab");
                return after;
              },
              { replace: true },
            )
          }
          keepMounted={false}
        >
          <TabList tabs={tabs} active={tab} />
          <Suspense fallback={<Skeleton height={420} />}>
            <Tabs.Panel value="ranks">
              <RanksTab run={run} live={live} status={status} />
            </Tabs.Panel>
            <Tabs.Panel value="log">
              <LogTab run={run} status={status} />
            </Tabs.Panel>
            <Tabs.Panel value="curves">
              <CurvesTab run={run} status={status} cuts={live.cuts} tail={tail} />
            </Tabs.Panel>
            <Tabs.Panel value="hardware">
              <HardwareTab run={run} status={status} cuts={live.cuts} tail={tail} />
            </Tabs.Panel>
            <Tabs.Panel value="export">
              <ExportTab run={run} />
            </Tabs.Panel>
            <Tabs.Panel value="result">
              <ResultTab run={run} />
            </Tabs.Panel>
            <Tabs.Panel value="try">
              <TryTab run={run} />
            </Tabs.Panel>
            <Tabs.Panel value="notes">
              <NotesTab run={run} />
            </Tabs.Panel>
            <Tabs.Panel value="history">
              <HistoryTab run={run} live={live} timeline={timeline} />
            </Tabs.Panel>
            <Tabs.Panel value="config">
              <ConfigTab run={run} />
            </Tabs.Panel>
          </Suspense>
        </Tabs>
      </Stack>
    </Container>
  );
}

function LoadingRun() {
  return (
    <Stack gap="md" aria-label="Loading" aria-busy>
      <Skeleton height={34} width={320} />
      <Skeleton height={54} />
      <Skeleton height={420} />
    </Stack>
  );
}
