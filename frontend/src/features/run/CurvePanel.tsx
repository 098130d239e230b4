import { Text } from "@mantine/core";
import { useIntersection } from "@mantine/hooks";
import { useMemo, useRef } from "react";
import type { RunDetail } from "@/api/types";
import { type Curve, curvesFigure } from "@/charts/curves";
import { colourOf, useLook } from "@/charts/look";
import { Plot } from "@/charts/Plot";
import { count, metric } from "@/components/format";
import { Panel } from "@/components/Panel";
import { type CurveAxis, type CurveData, placesOf } from "./curve-data";
import { metricTitle } from "./metric-groups";

const height = 200;

export interface Amount {
  by: number;
  unit: string;
  decimals: number;
}

/** A mean over fewer points says nothing that the points do not. */
const fewestSmoothed = 20;

interface CurvePanelProps {
  run: RunDetail;
  curve: CurveData;
  axis: CurveAxis;
  isLog: boolean;
  /** An amount: what a value is divided by, its unit, and how many decimals say enough. */
  scale?: Amount;
}

const axisTitles: Record<CurveAxis, string> = { step: "step", time: "minutes", progress: "progress" };
const axisFormats: Record<CurveAxis, string> = {
  step: "step %{x}",
  time: "%{x:.1f} min",
  progress: "%{x:.0%}",
};

/** One metric in a card. It is drawn when it comes near the view, so that a hundred of them cost nothing. */
export function CurvePanel({ run, curve, axis, isLog, scale }: CurvePanelProps) {
  const look = useLook();
  const { ref, entry } = useIntersection({ rootMargin: "400px" });
  const wasSeen = useRef(false);
  if (entry?.isIntersecting) wasSeen.current = true;
  const place = useMemo(
    () => ({ startedAt: run.started_at, totalSteps: run.total_steps }),
    [run.started_at, run.total_steps],
  );
  const figure = useMemo(() => {
    const scaled = (values: CurveData["values"]) =>
      scale ? values.map((value) => (typeof value === "number" ? value / scale.by : value)) : values;
    const x = placesOf(curve, axis, place);
    const ghosts: Curve[] =
      axis === "time"
        ? []
        : curve.ghosts.map((ghost) => ({
            name: `attempt ${ghost.attempt}, cut`,
            x: axis === "progress" ? ghost.steps.map((step) => step / (place.totalSteps ?? 1)) : ghost.steps,
            values: scaled(ghost.values),
            colour: look.muted,
            dash: "dot",
          }));
    return curvesFigure({
      curves: [
        ...ghosts,
        {
          name: metricTitle(curve.name),
          x,
          values: scaled(curve.values),
          smoothed: x.length > fewestSmoothed ? scaled(curve.smoothed) : [],
          colour: colourOf(look, 0),
          hasMarkers: x.length < 40,
        },
      ],
      look,
      isLog,
      hasLegend: ghosts.length > 0,
      isFromZero: scale !== undefined,
      xTitle: axisTitles[axis],
      xFormat: axisFormats[axis],
      ...(scale ? { yTitle: scale.unit } : {}),
      marks: marksOf(run, axis, place),
    });
  }, [curve, axis, isLog, scale, look, run, place]);
  const last = curve.values.at(-1);
  const shown = scale && typeof last === "number" ? last / scale.by : last;
  return (
    <div ref={ref} data-testid={`curve-${curve.name}`} data-points={curve.total}>
      <Panel
        title={metricTitle(curve.name)}
        order={3}
        actions={
          <Text size="sm" fw={600} className="numbers">
            {scale && typeof shown === "number"
              ? `${shown.toFixed(scale.decimals)} ${scale.unit}`
              : metric(shown)}
          </Text>
        }
        note={
          curve.isReduced
            ? `${count(curve.steps.length)} of ${count(curve.total)} points; minima, maxima and NaN are kept.`
            : undefined
        }
      >
        {wasSeen.current ? (
          <Plot
            figure={figure}
            height={height}
            label={`${metricTitle(curve.name)} by ${axisTitles[axis]}; last ${metric(shown)}.`}
          />
        ) : (
          <div style={{ height }} />
        )}
      </Panel>
    </div>
  );
}

/** Where attempts after the first went on. */
function marksOf(
  run: RunDetail,
  axis: CurveAxis,
  { startedAt, totalSteps }: { startedAt: number | null; totalSteps: number | null },
): { x: number; text: string }[] {
  return run.attempts.slice(1).flatMap((attempt) => {
    if (attempt.start_step === null) return [];
    const x =
      axis === "time"
        ? (attempt.started_at - (startedAt ?? attempt.started_at)) / 60
        : axis === "progress"
          ? attempt.start_step / (totalSteps ?? Number.NaN)
          : attempt.start_step;
    return Number.isFinite(x) ? [{ x, text: `attempt ${attempt.number}` }] : [];
  });
}
