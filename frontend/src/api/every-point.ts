import { http, unwrap } from "./client";

/** Every recorded point of a metric, even if the chart shows fewer; one row per point. */
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
