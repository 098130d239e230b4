import { http, unwrap } from "./client";

/** All that a run recorded of a metric, however little of it is drawn: one row a point. */
export async function everyPoint(id: string, name: string): Promise<object[]> {
  const { steps, values, times } = await unwrap(
    http.GET("/api/v1/runs/{run_id}/metrics/{name}", {
      params: { path: { run_id: id, name }, query: { points: "all", times: true } },
    }),
  );
  return steps.map((step, index) => ({
    metric: name,
    step,
    time: times?.[index] ?? null,
    value: values[index] ?? null,
  }));
}
