import { http, unwrap } from "@/api/client";
import type { History } from "./live-run";

const seriesPoints = 2000;
const frames = 400;

/** Everything that the page draws of what has happened so far. Each part says up to which event it goes. */
export async function loadHistory(id: string, signal: AbortSignal): Promise<History> {
  const params = { path: { run_id: id } };
  const [run, names, ranks] = await Promise.all([
    unwrap(http.GET("/api/v1/runs/{run_id}", { signal, params })),
    unwrap(http.GET("/api/v1/runs/{run_id}/metrics", { signal, params })),
    unwrap(http.GET("/api/v1/runs/{run_id}/ranks", { signal, params: { ...params, query: { frames } } })),
  ]);
  const series = await Promise.all(
    Object.keys(names.items).map((name) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/metrics/{name}", {
          signal,
          params: { path: { run_id: id, name }, query: { points: String(seriesPoints) } },
        }),
      ),
    ),
  );
  return { run, ranks, series, namesSeq: names.last_seq };
}
