import { Alert, Group, Loader, Skeleton, Stack, Table, Text } from "@mantine/core";
import { useThrottledValue } from "@mantine/hooks";
import { IconInfoCircle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { SweepAnalysis, SweepDetail } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { parallelFigure } from "@/charts/figures/parallel";
import { type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { ErrorState } from "@/components/feedback/states";
import { TableMenu } from "@/components/files/TableMenu";
import { Panel } from "@/components/layout/Panel";
import { pText, unitOf, written } from "@/components/text/metric-unit";
import { plural } from "@/components/text/plural";
import { analysisQuery } from "./queries";

const height = 380;
/** While results come in. An analysis costs the server one to two seconds of CPU. */
const calmMs = 15_000;

interface AnalysisPanelsProps {
  sweep: SweepDetail;
  /** The point that is marked here and in the leaderboard. */
  marked: number | null;
  onMark: (point: number | null) => void;
}

/** Parallel coordinates, importance of the parameters, and their correlation with the metric. */
export function AnalysisPanels({ sweep, marked, onMark }: AnalysisPanelsProps) {
  const { done } = sweep.trials;
  const throttled = useThrottledValue(done, calmMs);
  const results = sweep.status === "running" && throttled > 0 ? throttled : done;
  const analysis = useQuery(analysisQuery(sweep.id, results));
  if (results === 0) return null;
  if (!analysis.data)
    return analysis.error ? (
      <ErrorState
        error={analysis.error}
        title="The analysis could not be computed"
        onRetry={() => void analysis.refetch()}
      />
    ) : (
      <Stack gap="xs" role="status" aria-busy>
        <Group gap="xs">
          <Loader size={16} />
          <Text size="sm" c="dimmed">
            Computing the analysis. This takes some seconds.
          </Text>
        </Group>
        <Skeleton height={height} radius="md" />
      </Stack>
    );
  return (
    <>
      <ParallelPanel sweep={sweep} analysis={analysis.data} marked={marked} onMark={onMark} />
      <ParametersPanel sweep={sweep} analysis={analysis.data} isOld={analysis.isFetching} />
    </>
  );
}

function ParallelPanel({
  sweep,
  analysis,
  marked,
  onMark,
}: AnalysisPanelsProps & { analysis: SweepAnalysis }) {
  const look = useLook();
  const { metric } = sweep;
  const figureOf = useMemo(() => {
    const unit = unitOf(metric);
    const text = (value: number) => written(value, unit);
    return (style: Look) => parallelFigure({ analysis, metric, text, marked, look: style });
  }, [analysis, metric, marked]);
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  if (analysis.lines.length === 0) return null;
  return (
    <Panel
      title="Parallel coordinates"
      note="One line per point with a result: stronger lines are better, the best is orange. Click a line to find its point in the leaderboard. A line passes below an axis if its method does not have that option."
      actions={
        <ExportMenu
          label="Export parallel coordinates"
          file={`${sweep.name} parallel coordinates`}
          title={sweep.name}
          height={height}
          figureOf={figureOf}
          rows={() =>
            analysis.lines.map((line) => ({
              point: line.point,
              ...Object.fromEntries(analysis.axes.map((axis, at) => [axis.name, line.values[at] ?? null])),
              [metric.name]: line.value,
            }))
          }
        />
      }
    >
      <Plot
        figure={figure}
        height={height}
        label={`Parallel coordinates of ${analysis.lines.length} points over ${analysis.axes.length} parameters and ${metric.title}; the leaderboard has the same numbers`}
        onClick={(point) => {
          if (typeof point.customdata === "number") onMark(point.customdata);
        }}
      />
    </Panel>
  );
}

function ParametersPanel({
  sweep,
  analysis,
  isOld,
}: {
  sweep: SweepDetail;
  analysis: SweepAnalysis;
  isOld: boolean;
}) {
  const rows = analysis.axes.map((axis) => ({
    name: axis.name,
    title: axis.title,
    share: analysis.importance.find((one) => one.name === axis.name)?.share ?? null,
    correlation: analysis.correlations.find((one) => one.name === axis.name),
  }));
  rows.sort((one, other) => (other.share ?? -1) - (one.share ?? -1));
  return (
    <Panel
      title="Parameters"
      note={`From ${plural(analysis.n, "point")}. Importance: share of the variation among good points that a parameter explains (PED-ANOVA). Correlation: Spearman's with ${sweep.metric.title}, with its p-value.`}
      actions={
        <>
          {isOld ? <Loader size={14} role="status" aria-label="Computing" /> : null}
          <TableMenu
            label="Export importance and correlations"
            file={`${sweep.name} parameters`}
            rows={() =>
              rows.map(({ name, share, correlation }) => ({
                parameter: name,
                importance: share,
                rho: correlation?.rho ?? null,
                p: correlation?.p ?? null,
                n: correlation?.n ?? null,
              }))
            }
          />
        </>
      }
    >
      <Stack gap="sm">
        {analysis.notes.map((note) => (
          <Alert key={note} color="gray" variant="light" py={6} icon={<IconInfoCircle size={16} />}>
            <Text size="sm">{note}</Text>
          </Alert>
        ))}
        <Table.ScrollContainer minWidth={460} type="native" tabIndex={0}>
          <Table fz="sm" className="numbers" verticalSpacing={5}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Parameter</Table.Th>
                <Table.Th w="34%">Importance</Table.Th>
                <Table.Th w="34%">Correlation</Table.Th>
                <Table.Th ta="right">p</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map(({ name, title, share, correlation }) => (
                <Table.Tr key={name} data-parameter={name}>
                  <Table.Td title={name}>{title}</Table.Td>
                  <Table.Td>
                    {share === null ? (
                      <Absent />
                    ) : (
                      <Bar from={0} to={share} text={`${(100 * share).toFixed(0)} %`} />
                    )}
                  </Table.Td>
                  <Table.Td>
                    {typeof correlation?.rho === "number" ? (
                      <Bar
                        from={0.5}
                        to={0.5 + correlation.rho / 2}
                        text={`${correlation.rho < 0 ? "−" : "+"}${Math.abs(correlation.rho).toFixed(2)}`}
                        hasMiddle
                      />
                    ) : (
                      <Absent />
                    )}
                  </Table.Td>
                  <Table.Td ta="right">{pText(correlation?.p ?? null)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Stack>
    </Panel>
  );
}

const Absent = () => (
  <Text span inherit c="dimmed">
    –
  </Text>
);

interface BarProps {
  /** Shares of the width. */
  from: number;
  to: number;
  text: string;
  /** Marks 0 in the middle. */
  hasMiddle?: boolean;
}

function Bar({ from, to, text, hasMiddle = false }: BarProps) {
  const left = Math.min(from, to);
  return (
    <div className="bar-cell">
      <div className={hasMiddle ? "bar-track bar-middle" : "bar-track"} aria-hidden>
        <div
          className="bar-fill"
          style={{ left: `${100 * left}%`, width: `${100 * Math.abs(to - from)}%` }}
          data-sign={to < from ? "negative" : "positive"}
        />
      </div>
      <span className="bar-text">{text}</span>
    </div>
  );
}
