/** What the comparison shows, as stored in the address. */
import type { ComparedCurves } from "@/api/types";

export const axes = ["step", "progress", "time", "rows", "tokens", "live_parameters"] as const;
export type CurveAxis = ComparedCurves["axis"];
export const alignments = ["step", "progress", "budget"] as const;
export type Alignment = (typeof alignments)[number];
export const costs = ["kept_parameters", "live_parameters", "trained_s", "peak_memory_bytes"] as const;
export type Cost = (typeof costs)[number];
export const smoothings = ["0", "0.9", "0.98"] as const;
export type Smoothing = (typeof smoothings)[number];
export const groupings = ["layer", "kind", "rank"] as const;

/** More runs are compared in groups only. */
export const mostSingle = 20;

export interface CompareView {
  runs: string[];
  /** Runs that differ only in their seed are one group. */
  bySeed: boolean;
  /** Charts; empty: the headline metric and the train loss. */
  metrics: string[];
  axis: CurveAxis;
  isLog: boolean;
  /** Weight of the moving average. */
  smooth: Smoothing;
  /** Which value of a metric the table shows. */
  of: "best" | "last";
  /** Id of a run of the baseline; empty: the first one. */
  base: string;
  /** Ids of the first runs of hidden groups. */
  hidden: string[];
  /** The two runs whose ranks are compared; empty: the first two with ranks. */
  a: string;
  b: string;
  align: Alignment;
  /** Position on the alignment; null: the last one. */
  at: number | null;
  /** Metric of the trade-off; empty: the headline metric. */
  against: string;
  cost: Cost;
  spread: (typeof groupings)[number];
}

const list = (params: URLSearchParams, name: string): string[] => [
  ...new Set((params.get(name) ?? "").split(",").filter(Boolean)),
];

const one = <T extends string>(known: readonly T[], value: string | null, usual: T): T =>
  known.find((each) => each === value) ?? usual;

/** Unknown values are ignored. */
export function viewFrom(params: URLSearchParams): CompareView {
  const at = params.get("at");
  return {
    runs: list(params, "runs"),
    bySeed: params.get("group") === "seed" || list(params, "runs").length > mostSingle,
    metrics: list(params, "metrics"),
    axis: one(axes, params.get("axis"), "step"),
    isLog: params.get("scale") === "log",
    smooth: one(smoothings, params.get("smooth"), "0"),
    of: one(["best", "last"] as const, params.get("of"), "best"),
    base: params.get("base") ?? "",
    hidden: list(params, "hidden"),
    a: params.get("a") ?? "",
    b: params.get("b") ?? "",
    align: one(alignments, params.get("align"), "step"),
    at: at !== null && at !== "" && Number.isFinite(Number(at)) ? Number(at) : null,
    against: params.get("against") ?? "",
    cost: one(costs, params.get("cost"), "kept_parameters"),
    spread: one(groupings, params.get("spread"), "layer"),
  };
}

/** The address of a view; defaults are omitted. */
export function paramsOf(view: CompareView): URLSearchParams {
  const params = new URLSearchParams();
  const put = (name: string, value: string, usual = "") => {
    if (value !== usual) params.set(name, value);
  };
  put("runs", view.runs.join(","));
  put("group", view.bySeed ? "seed" : "");
  put("metrics", view.metrics.join(","));
  put("axis", view.axis, "step");
  put("scale", view.isLog ? "log" : "");
  put("smooth", view.smooth, "0");
  put("of", view.of, "best");
  put("base", view.base);
  put("hidden", view.hidden.join(","));
  put("a", view.a);
  put("b", view.b);
  put("align", view.align, "step");
  put("at", view.at === null ? "" : String(view.at));
  put("against", view.against);
  put("cost", view.cost, "kept_parameters");
  put("spread", view.spread, "layer");
  return params;
}
