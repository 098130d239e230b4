import { Container, Skeleton, Stack, Tabs } from "@mantine/core";
import { lazy, Suspense } from "react";
import { useParams, useSearchParams } from "react-router";
import { ErrorState } from "@/components/states";
import { useTitle } from "@/components/use-title";
import { HistoryTab } from "./HistoryTab";
import { LogTab } from "./LogTab";
import { RanksTab } from "./RanksTab";
import { RunHeader } from "./RunHeader";
import { useLiveRun } from "./use-live-run";

// With the YAML library, which no other tab needs.
const ConfigTab = lazy(() => import("./ConfigTab"));

const tabs = ["ranks", "log", "history", "config"] as const;

export function RunPage() {
  const { id = "" } = useParams();
  // A new run is a new page: nothing of the run before may stay.
  return <RunView key={id} id={id} />;
}

function RunView({ id }: { id: string }) {
  const [params, setParams] = useSearchParams();
  const { live, detail, history, connection, timeline } = useLiveRun(id);
  const run = detail.data;
  useTitle(run?.name ?? "Run");
  const tab = tabs.find((name) => name === params.get("tab")) ?? "ranks";

  if (!run || !live) {
    const error = detail.error ?? history.error;
    return (
      <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
        {error ? (
          <ErrorState
            error={error}
            title="This run cannot be shown"
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
  // The event stream is often ahead of the polled row; the server numbers both, so the newer one is known.
  const status = live.lastSeq >= run.last_seq ? live.status : run.status;
  return (
    <Container fluid maw={1680} px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <RunHeader
          run={run}
          live={live}
          status={status}
          connection={connection}
          warnings={timeline.events.filter((event) => event.kind === "warning")}
        />
        <Tabs
          value={tab}
          onChange={(next) => setParams(next && next !== "ranks" ? { tab: next } : {}, { replace: true })}
          keepMounted={false}
        >
          <Tabs.List mb="md">
            <Tabs.Tab value="ranks">Ranks and curves</Tabs.Tab>
            <Tabs.Tab value="log">Log</Tabs.Tab>
            <Tabs.Tab value="history">History</Tabs.Tab>
            <Tabs.Tab value="config">Config</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="ranks">
            <RanksTab run={run} live={live} status={status} />
          </Tabs.Panel>
          <Tabs.Panel value="log">
            <LogTab id={id} status={status} />
          </Tabs.Panel>
          <Tabs.Panel value="history">
            <HistoryTab run={run} live={live} timeline={timeline} />
          </Tabs.Panel>
          <Tabs.Panel value="config">
            <Suspense fallback={<Skeleton height={420} />}>
              <ConfigTab run={run} />
            </Suspense>
          </Tabs.Panel>
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
