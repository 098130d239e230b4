import {
  Group,
  SegmentedControl,
  SimpleGrid,
  Skeleton,
  Slider,
  Stack,
  Switch,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import type { RunDetail, RunStatus } from "@/api/types";
import { EmptyState, ErrorState } from "@/components/feedback/states";
import { metricCalled, useMetrics } from "@/components/runs/tasks";
import { plural } from "@/components/text/plural";
import type { MetricTail } from "@/features/run/live/metric-tail";
import { CurvePanel } from "./CurvePanel";
import type { CurveAxis } from "./curve-data";
import { metricGroups } from "./metric-groups";
import { useCurves } from "./use-curves";
import { useRelatedCurves } from "./use-related-curves";

interface CurvesTabProps {
  run: RunDetail;
  status: RunStatus;
  cuts: number;
  tail: MetricTail;
}

/** Every metric of the run, in groups. */
export default function CurvesTab({ run, status, cuts, tail }: CurvesTabProps) {
  const [axis, setAxis] = useLocalStorage<CurveAxis>({ key: "rankscope-curve-axis", defaultValue: "step" });
  const [beta, setBeta] = useLocalStorage({ key: "rankscope-smoothing", defaultValue: 0.6 });
  const [isLog, setLog] = useState(false);
  const [hasGhosts, setGhosts] = useState(false);
  const [hasForks, setForks] = useState(false);
  const [search, setSearch] = useState("");
  const { past, curves } = useCurves(run.id, { beta, hasGhosts, cuts, status, tail });
  const metrics = useMetrics(run.task);
  const related = useRelatedCurves(run.id, { beta, isOn: hasForks });

  if (past.error && !past.data) return <ErrorState error={past.error} onRetry={() => void past.refetch()} />;
  if (!past.data) return <Loading />;
  const wanted = search.trim().toLowerCase();
  const byName = new Map(curves.map((curve) => [curve.name, curve]));
  const groups = metricGroups(
    [...byName.keys()].filter((name) =>
      `${name} ${metricCalled(name, metrics).title}`.toLowerCase().includes(wanted),
    ),
    metrics,
  );
  const hasCut = run.attempts.filter((one) => one.start_step !== null).length > 1;
  return (
    <Stack gap="md">
      <Group gap="lg" align="center">
        <TextInput
          size="xs"
          w={200}
          aria-label="Search metrics"
          placeholder="Search metrics"
          leftSection={<IconSearch size={14} />}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
        />
        <SegmentedControl
          size="xs"
          aria-label="Horizontal axis"
          value={axis}
          onChange={(next) => setAxis(next as CurveAxis)}
          data={[
            { value: "step", label: "Step" },
            { value: "time", label: "Time" },
            { value: "progress", label: "Progress" },
          ]}
        />
        <Group gap="xs" wrap="nowrap">
          <Text size="xs" c="dimmed" id="smoothing-label">
            Smoothing
          </Text>
          <Slider
            w={130}
            size={4}
            min={0}
            max={0.99}
            step={0.01}
            defaultValue={beta}
            key={beta}
            onChangeEnd={setBeta}
            label={(value) => value.toFixed(2)}
            thumbProps={{ "aria-labelledby": "smoothing-label" }}
            data-testid="smoothing"
          />
        </Group>
        <Switch
          size="xs"
          label="Log scale"
          checked={isLog}
          onChange={(event) => setLog(event.currentTarget.checked)}
        />
        {hasCut ? (
          <Switch
            size="xs"
            label="Show replaced attempts"
            title="What an earlier attempt recorded after the step from which a later one resumed"
            checked={hasGhosts}
            onChange={(event) => setGhosts(event.currentTarget.checked)}
          />
        ) : null}
        {related.hasRelated ? (
          <Switch
            size="xs"
            label="Forks"
            title="Also show the run that this one was forked from, and its forks. Only by step or progress."
            checked={hasForks}
            onChange={(event) => setForks(event.currentTarget.checked)}
          />
        ) : null}
      </Group>
      {groups.length === 0 ? (
        <EmptyState title={wanted ? "No matching metric" : "No metrics yet"}>
          {wanted
            ? `None of the ${plural(byName.size, "metric")} contains “${search.trim()}”.`
            : "Curves appear with the first steps of the run."}
        </EmptyState>
      ) : null}
      {groups.map((group) => (
        <section key={group.title}>
          <Title order={2} size="h5" mb="xs">
            {group.title}
          </Title>
          <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing="md">
            {group.names.map((name) => {
              const curve = byName.get(name);
              return curve ? (
                <CurvePanel
                  key={name}
                  run={run}
                  curve={curve}
                  axis={axis}
                  isLog={isLog}
                  beta={beta}
                  related={related.curves.get(name)}
                  forks={related.marks}
                />
              ) : null;
            })}
          </SimpleGrid>
        </section>
      ))}
    </Stack>
  );
}

function Loading() {
  return (
    <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing="md" aria-busy aria-label="Loading">
      {["a", "b", "c"].map((key) => (
        <Skeleton key={key} height={260} />
      ))}
    </SimpleGrid>
  );
}
