import { loadPart } from "@/components/server/load-part";

type Plotly = typeof import("plotly.js-dist-min");

let loading: Promise<Plotly> | undefined;

/** Plotly is most of the page's bytes, so it is loaded with the first chart. */
export const loadPlotly = (): Promise<Plotly> => {
  loading ??= loadPart(() => import("plotly.js-cartesian-dist-min")).then((module) => module.default);
  loading.catch(() => {
    loading = undefined;
  });
  return loading;
};

export type { Plotly };
