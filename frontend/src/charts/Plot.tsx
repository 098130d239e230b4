import { Skeleton } from "@mantine/core";
import type { Config, PlotlyHTMLElement } from "plotly.js-dist-min";
import { useEffect, useRef, useState } from "react";
import type { Figure } from "./figure";

type Plotly = typeof import("plotly.js-dist-min");

const config: Partial<Config> = {
  displaylogo: false,
  responsive: false,
  displayModeBar: false,
  doubleClick: "reset",
};

let loading: Promise<Plotly> | undefined;
/** Plotly is most of the page's bytes: it comes with the first chart and not before. */
const loadPlotly = (): Promise<Plotly> => {
  loading ??= import("plotly.js-cartesian-dist-min").then((module) => module.default);
  return loading;
};

interface PlotProps {
  figure: Figure;
  /** Said to people who do not see the drawing. */
  label: string;
  height: number;
}

/** The only place that calls Plotly: one react() in flight, the newest figure wins, always purged on unmount. */
export function Plot({ figure, label, height }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const draw = useRef<(figure: Figure) => void>(undefined);
  const [isDrawn, setDrawn] = useState(false);

  useEffect(() => {
    const root = element.current;
    if (!root) return;
    let plotly: Plotly | undefined;
    let waiting: Figure | undefined;
    let isBusy = false;
    let isGone = false;

    const next = async () => {
      if (isBusy) return;
      isBusy = true;
      plotly ??= await loadPlotly();
      while (waiting && !isGone) {
        const { data, layout } = waiting;
        waiting = undefined;
        // Plotly writes into the layout that it gets, so it gets a copy.
        await plotly.react(root, data as never, { ...layout }, config);
        setDrawn(true);
      }
      isBusy = false;
    };
    draw.current = (newest) => {
      waiting = newest;
      void next();
    };
    const observer = new ResizeObserver(() => {
      // A hidden tab has no size; it is drawn anew when it opens.
      if (plotly && !isGone && root.clientWidth > 0 && "layout" in root) plotly.Plots.resize(root);
    });
    observer.observe(root);
    return () => {
      isGone = true;
      draw.current = undefined;
      observer.disconnect();
      plotly?.purge(root as unknown as PlotlyHTMLElement);
    };
  }, []);

  useEffect(() => draw.current?.(figure), [figure]);

  return (
    <div style={{ position: "relative", height }}>
      {!isDrawn && <Skeleton height={height} radius="sm" style={{ position: "absolute", inset: 0 }} />}
      <div ref={element} role="img" aria-label={label} style={{ height, width: "100%" }} />
    </div>
  );
}
