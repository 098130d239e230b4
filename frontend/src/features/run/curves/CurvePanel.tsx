import { Group, Text } from "@mantine/core";
import { useIntersection } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useRef, useState } from "react";
import { everyPoint } from "@/api/every-point";
import type { Num, RunDetail, Series } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { type Curve, curvesFigure } from "@/charts/figures/curves";
import { colourOf, type Look, useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { Panel } from "@/components/layout/Panel";
import { metricCalled, useMetrics } from "@/components/runs/tasks";
import { count, metric } from "@/components/text/format";
import type { ForkMark } from "@/features/run/lineage/related-runs";
import { type CurveAxis, type CurveData, placesOf, stepRangeBetween, withDetail } from "./curve-data";
import { rangeQuery } from "./queries";
import type { RelatedCurve } from "./use-related-curves";

const height = 200;

export interface Amount {
  by: number;
  unit: string;
  decimals: number;
}

/** With fewer points, a mean adds nothing. */
const fewestSmoothed = 20;

interface CurvePanelProps {
  run: RunDetail;
  curve: CurveData;
  axis: CurveAxis;
  isLog: boolean;
  /** Weight of the exponential mean of the curve; 0: none. */
  beta?: number;
  /** Curves of runs that this one was forked from, or that were forked from it. */
  related?: readonly RelatedCurve[] | undefined;
  forks?: readonly ForkMark[];
  /** Scale of an amount: divisor, unit and decimals. */
  scale?: Amount;
}

const axisTitles: Record<CurveAxis, string> = { step: "step", time: "minutes", progress: "progress" };
const axisFormats: Record<CurveAxis, string> = {
  step: "step %{x}",
  time: "%{x:.1f} min",
  progress: "%{x:.0%}",
};

const noRelated: RelatedCurve[] = [];
const noForks: ForkMark[] = [];

/** One metric in a card. It is drawn when it comes near the viewport, so that a hundred of them cost little. */
export function CurvePanel({
  run,
  curve,
  axis,
  isLog,
  beta = 0,
  related = noRelated,
  forks = noForks,
  scale,
}: CurvePanelProps) {
  const look = useLook();
  const { title } = metricCalled(curve.name, useMetrics(run.task));
  const { ref, entry } = useIntersection({ rootMargin: "400px" });
  const wasSeen = useRef(false);
  if (entry?.isIntersecting) wasSeen.current = true;
  const place = useMemo(
    () => ({ startedAt: run.started_at, totalSteps: run.total_steps }),
    [run.started_at, run.total_steps],
  );
  const [zoomedTo, setZoomedTo] = useState<{ from: number; to: number } | null>(null);
  const options = { range: curve.isReduced ? zoomedTo : null, smooth: beta, attempt: run.attempt };
  const exact = useQuery(rangeQuery(run.id, curve.name, options));
  const detail = zoomedTo && curve.isReduced ? exact.data : undefined;
  const shown = useMemo(() => (detail ? withDetail(curve, detail) : curve), [curve, detail]);
  const figureOf = useCallback(
    (look: Look) => {
      const scaled = (values: readonly Num[]) =>
        scale ? values.map((value) => (typeof value === "number" ? value / scale.by : value)) : [...values];
      const x = placesOf(shown, axis, place);
      // Other runs and attempts have another start time.
      const beside = (
        steps: readonly number[],
        values: readonly Num[],
        more: Omit<Curve, "x" | "values">,
      ) => ({
        x: axis === "progress" ? steps.map((step) => step / (place.totalSteps ?? 1)) : steps,
        values: scaled(values),
        ...more,
      });
      const others: Curve[] =
        axis === "time"
          ? []
          : [
              ...shown.ghosts.map((ghost) =>
                beside(ghost.steps, ghost.values, {
                  name: `attempt ${ghost.attempt}, replaced`,
                  colour: look.muted,
                  dash: "dot",
                }),
              ),
              ...related.map(({ name, steps, values, isAncestor, order }) =>
                beside(steps, values, {
                  name,
                  colour: isAncestor ? look.muted : colourOf(look, order + 1),
                }),
              ),
            ];
      return curvesFigure({
        curves: [
          ...others,
          {
            name: others.length && related.length ? "this run" : title,
            x,
            values: scaled(shown.values),
            smoothed: x.length > fewestSmoothed ? scaled(shown.smoothed) : [],
            colour: colourOf(look, 0),
            hasMarkers: x.length < 40,
          },
        ],
        look,
        isLog,
        hasLegend: others.length > 0,
        isFromZero: scale !== undefined,
        xTitle: axisTitles[axis],
        xFormat: axisFormats[axis],
        ...(scale ? { yTitle: scale.unit } : {}),
        marks: marksOf(run, axis, place, forks),
      });
    },
    [shown, title, axis, isLog, scale, run, place, related, forks],
  );
  const figure = useMemo(() => figureOf(look), [figureOf, look]);
  const last = curve.values.at(-1);
  const value = scale && typeof last === "number" ? last / scale.by : last;
  return (
    <div ref={ref} data-testid={`curve-${curve.name}`} data-points={curve.total}>
      <Panel
        title={title}
        order={3}
        actions={
          <Group gap={6} wrap="nowrap">
            <Text size="sm" fw={600} className="numbers">
              {scale && typeof value === "number"
                ? `${value.toFixed(scale.decimals)} ${scale.unit}`
                : metric(value)}
            </Text>
            <ExportMenu
              label={`Export ${title}`}
              file={`${run.name} ${curve.name}`}
              title={`${run.name} · ${title}`}
              figureOf={figureOf}
              rows={() => everyPoint(run.id, curve.name)}
            />
          </Group>
        }
        note={noteOf(shown, detail?.series)}
      >
        {wasSeen.current ? (
          <Plot
            figure={figure}
            height={height}
            label={`${title} by ${axisTitles[axis]}; last ${metric(value)}.`}
            onZoom={(range) =>
              setZoomedTo(range && stepRangeBetween(curve, placesOf(curve, axis, place), range))
            }
          />
        ) : (
          <div style={{ height }} />
        )}
      </Panel>
    </div>
  );
}

/** Always a line, so that a card keeps its height when a growing curve is reduced. */
function noteOf(curve: CurveData, zoomed: Series | undefined): string {
  return [pointsNote(curve, zoomed), brokenNote(curve)].filter(Boolean).join(" ") || "\u00a0";
}

function pointsNote(curve: CurveData, zoomed: Series | undefined): string | undefined {
  if (zoomed) {
    return zoomed.is_reduced
      ? `${count(zoomed.steps.length)} of ${count(zoomed.total_points)} points in view; zoom in further to see all of them.`
      : `All ${count(zoomed.total_points)} points in view.`;
  }
  if (!curve.isReduced) return undefined;
  return `${count(curve.steps.length)} of ${count(curve.total)} points; minima, maxima and NaN are kept.`;
}

/** Describes the red crosses without hovering. */
function brokenNote({ steps, values }: CurveData): string | undefined {
  const broken = steps.filter((_, index) => typeof values[index] === "string");
  const [first, last] = [broken[0], broken.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  return first === last
    ? `NaN or infinite at step ${count(first)} (×).`
    : `NaN or infinite values between steps ${count(first)} and ${count(last)} (×).`;
}

/** Where later attempts started, and where runs were forked. */
function marksOf(
  run: RunDetail,
  axis: CurveAxis,
  { startedAt, totalSteps }: { startedAt: number | null; totalSteps: number | null },
  forks: readonly ForkMark[],
): { x: number; text: string }[] {
  const parted =
    axis === "time" || (axis === "progress" && !totalSteps)
      ? []
      : forks.map(({ step, text }) => ({ x: axis === "progress" ? step / (totalSteps ?? 1) : step, text }));
  const attempts = run.attempts.slice(1).flatMap((attempt) => {
    if (attempt.start_step === null) return [];
    const x =
      axis === "time"
        ? (attempt.started_at - (startedAt ?? attempt.started_at)) / 60
        : axis === "progress"
          ? attempt.start_step / (totalSteps ?? Number.NaN)
          : attempt.start_step;
    return Number.isFinite(x) ? [{ x, text: `attempt ${attempt.number}` }] : [];
  });
  return [...attempts, ...parted];
}
