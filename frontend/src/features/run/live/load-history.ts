import { http, unwrap } from "@/api/client";
import { type History, smoothedBeta, smoothedMetric } from "./live-run";

const points = "600";
const frames = 300;

/** The history of a run. Each part has the sequence number of its last event. */
export async function loadHistory(id: string, signal: AbortSignal): Promise<History> {
  const path = { run_id: id };
  const one = { names: [smoothedMetric], points, smooth: smoothedBeta };
  const [run, series, smoothed, ranks] = await Promise.all([
    unwrap(http.GET("/api/v1/runs/{run_id}", { signal, params: { path } })),
    unwrap(http.GET("/api/v1/runs/{run_id}/series", { signal, params: { path, query: { points } } })),
    unwrap(http.GET("/api/v1/runs/{run_id}/series", { signal, params: { path, query: one } })),
    unwrap(http.GET("/api/v1/runs/{run_id}/ranks", { signal, params: { path, query: { frames } } })),
  ]);
  return { run, ranks, series, smoothed };
}
