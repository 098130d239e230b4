import { Button, Skeleton } from "@mantine/core";
import type { Config, PlotlyHTMLElement } from "plotly.js-dist-min";
import { useEffect, useRef, useState } from "react";
import { drawLabels } from "./cell-labels";
import type { Figure } from "./figure";
import { loadPlotly, type Plotly } from "./load-plotly";
import "./plot.css";

const config: Partial<Config> = {
  displaylogo: false,
  responsive: false,
  displayModeBar: false,
  doubleClick: "reset",
  // Plotly's hint on how to zoom out fades too soon; a button stays.
  showTips: false,
};

/** The point under the pointer. */
export interface PlotPoint {
  x: number;
  y: number;
  customdata?: unknown;
}

interface PlotProps {
  figure: Figure;
  /** Accessible description of the chart. */
  label: string;
  height: number;
  /** A vertical line at this x. It overlays the chart, so moving it does not redraw anything. */
  cursor?: number | null | undefined;
  /** The nearest point while the pointer is over the chart; null when it leaves. */
  onHover?: ((point: PlotPoint | null) => void) | undefined;
  onClick?: ((point: PlotPoint) => void) | undefined;
  /** Zoomed to a range of x; null: zoomed out. */
  onZoom?: ((range: [number, number] | null) => void) | undefined;
}

/** A chart this close to the viewport is kept up to date. */
const nearPx = 300;

/**
 * The only caller of Plotly: one react() in flight, the newest figure wins, always purged after unmount. A chart that has
 * been scrolled out of view is redrawn when it comes near again.
 */
export function Plot({ figure, label, height, cursor = null, onHover, onClick, onZoom }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const line = useRef<HTMLDivElement>(null);
  const draw = useRef<(figure: Figure) => void>(undefined);
  const [isDrawn, setDrawn] = useState(false);
  const [isZoomed, setZoomed] = useState(false);
  const zoomOut = useRef<() => void>(undefined);
  const present = useRef({ cursor, onHover, onClick, onZoom });
  present.current = { cursor, onHover, onClick, onZoom };

  useEffect(() => {
    const root = element.current;
    if (!root) return;
    let plotly: Plotly | undefined;
    let waiting: Figure | undefined;
    let newest: Figure | undefined;
    let labels: Figure["labels"];
    let timesZoomedOut = 0;
    let axes: string | undefined;
    let isBusy = false;
    let isGone = false;
    let isNear = true;
    let isDrawnOnce = false;
    let hasNewSize = false;
    let atWork = 0;
    /** Purging a chart while Plotly draws it makes the draw fail, so the purge waits for it. */
    const finished = async (work: unknown) => {
      atWork += 1;
      await Promise.resolve(work).finally(() => {
        atWork -= 1;
        purgeIfGone();
      });
    };
    const purgeIfGone = () => {
      if (isGone && atWork === 0) plotly?.purge(root as unknown as PlotlyHTMLElement);
    };

    const next = async () => {
      if (isBusy) return;
      isBusy = true;
      plotly ??= await loadPlotly();
      while (waiting && !isGone && (isNear || !isDrawnOnce)) {
        const { data, layout } = waiting;
        labels = waiting.labels;
        waiting = undefined;
        // A zoomed range of other axes does not apply to these.
        if (axes !== undefined && axes !== layout.uirevision) toWhole();
        axes = String(layout.uirevision);
        // Plotly mutates the layout and its axes, so it gets a copy.
        const own = {
          ...structuredClone(layout),
          ...reachOf(present.current),
          // While this is unchanged, Plotly keeps the zoom.
          uirevision: `${axes}, zoomed out ${timesZoomedOut} times`,
        };
        await finished(plotly.react(root, data as never, own, config));
        if (isGone) return;
        listen(root as unknown as PlotlyHTMLElement);
        isDrawnOnce = true;
        setDrawn(true);
      }
      isBusy = false;
    };
    let hasEars = false;
    const listen = (plot: PlotlyHTMLElement) => {
      if (hasEars || !("on" in plot)) return;
      hasEars = true;
      plot.on("plotly_hover", ({ points }) => present.current.onHover?.(points[0] as unknown as PlotPoint));
      plot.on("plotly_unhover", () => present.current.onHover?.(null));
      plot.on("plotly_click", ({ points }) => present.current.onClick?.(points[0] as unknown as PlotPoint));
      let isWayBack = false;
      plot.on("plotly_doubleclick", () => {
        isWayBack = true;
      });
      plot.on("plotly_relayout", (change) => {
        if (isWayBack) toWhole();
        else if (Object.keys(change).some((key) => key.includes(".range"))) setZoomed(true);
        const range = isWayBack ? undefined : zoomOf({ ...change });
        isWayBack = false;
        if (range) present.current.onZoom?.(range);
      });
      const finish = () => {
        if (isGone) return;
        placeLine(root, line.current, present.current.cursor);
        drawLabels(root, labels ?? []);
      };
      plot.on("plotly_afterplot", finish);
      finish();
    };
    draw.current = (figure) => {
      newest = figure;
      waiting = figure;
      void next();
    };
    const toWhole = () => {
      setZoomed(false);
      present.current.onZoom?.(null);
    };
    zoomOut.current = () => {
      timesZoomedOut += 1;
      toWhole();
      if (newest) draw.current?.(newest);
    };
    // A hidden tab has no size; it is redrawn when it opens.
    const canResize = () => !isGone && root.clientWidth > 0 && "layout" in root;
    const resize = async () => {
      hasNewSize = !isNear;
      if (!plotly || !isNear || !canResize()) return;
      const top = topOf(root);
      await finished(plotly.Plots.resize(root));
      // A legend that now takes fewer lines has made the margin smaller, but keeps its position.
      if (canResize() && topOf(root) !== top) await finished(plotly.redraw(root));
    };
    const observer = new ResizeObserver(() => void resize());
    observer.observe(root);
    const viewport = new IntersectionObserver(
      (entries) => {
        isNear = entries.at(-1)?.isIntersecting ?? true;
        if (!isNear) return;
        if (hasNewSize) void resize();
        void next();
      },
      { rootMargin: `${nearPx}px` },
    );
    viewport.observe(root);
    return () => {
      isGone = true;
      draw.current = undefined;
      observer.disconnect();
      viewport.disconnect();
      purgeIfGone();
    };
  }, []);

  useEffect(() => draw.current?.(figure), [figure]);
  useEffect(() => {
    if (element.current) placeLine(element.current, line.current, cursor);
  }, [cursor]);

  return (
    // A chart that is out of view keeps its old size until it is near; it must not widen the page.
    <div style={{ position: "relative", height, overflowX: "clip" }}>
      {!isDrawn && <Skeleton height={height} radius="sm" style={{ position: "absolute", inset: 0 }} />}
      <div
        ref={element}
        role="img"
        aria-label={label}
        className={onClick ? "plot-clickable" : undefined}
        style={{ height, width: "100%" }}
      />
      <div ref={line} className="plot-cursor" hidden />
      {isZoomed && (
        <Button
          variant="default"
          size="compact-xs"
          title="Or double-click the chart"
          className="plot-zoom-out"
          onClick={() => zoomOut.current?.()}
        >
          Zoom out
        </Button>
      )}
    </div>
  );
}

/** A chart that sets the step reacts everywhere, not only near a point. */
const reachOf = ({ onHover }: Pick<PlotProps, "onHover">) => (onHover ? { hoverdistance: -1 } : {});

/** The zoomed range; undefined if the change is not a zoom. */
function zoomOf(change: Record<string, unknown>): [number, number] | undefined {
  const [low, high] = [change["xaxis.range[0]"], change["xaxis.range[1]"]].map(Number) as [number, number];
  return Number.isFinite(low) && Number.isFinite(high)
    ? [Math.min(low, high), Math.max(low, high)]
    : undefined;
}

interface Drawn {
  _fullLayout?: {
    xaxis?: { _offset: number; _length: number; d2p: (value: number) => number };
    _size: { t: number; h: number };
  };
}

const topOf = (root: HTMLElement): number | undefined => (root as unknown as Drawn)._fullLayout?._size.t;

/** Moves the cursor to x. Zoom and size are known only from Plotly's full layout. */
function placeLine(root: HTMLElement, line: HTMLElement | null, x: number | null): void {
  const drawn = (root as unknown as Drawn)._fullLayout;
  if (!line) return;
  const axis = drawn?.xaxis;
  const place = axis && x !== null ? axis.d2p(x) : Number.NaN;
  line.hidden = !(drawn && axis && place >= 0 && place <= axis._length);
  if (line.hidden || !drawn || !axis) return;
  line.style.transform = `translate(${Math.round(axis._offset + place)}px, ${drawn._size.t}px)`;
  line.style.height = `${drawn._size.h}px`;
}
