import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { ApiError, http, unwrap } from "./client";
import { isMoving } from "./moving";
import { link } from "./server-link";
import type { RunStatus } from "./types";

export interface RunFilter {
  status: RunStatus[];
  method: string[];
  tag: string[];
  search: string;
  sort: string;
}

export const runsPageSize = 100;

/** While a stream is open it says when something changes: what it cannot say is read once a minute. */
const rarelyMs = 60_000;
export const unlessStreaming = (everyMs: number) => (): number => (link.isStreaming() ? rarelyMs : everyMs);

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => unwrap(http.GET("/api/v1/session", { signal })),
  staleTime: 60_000,
});

export const runsQuery = (filter: RunFilter) =>
  infiniteQueryOptions({
    queryKey: ["runs", filter],
    queryFn: ({ signal, pageParam }) =>
      unwrap(
        http.GET("/api/v1/runs", {
          signal,
          params: {
            query: {
              ...(filter.status.length ? { status: filter.status } : {}),
              ...(filter.method.length ? { method: filter.method } : {}),
              ...(filter.tag.length ? { tag: filter.tag } : {}),
              ...(filter.search ? { search: filter.search } : {}),
              ...(pageParam ? { cursor: pageParam } : {}),
              sort: filter.sort,
              limit: runsPageSize,
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    // Every loaded page is read again: the more are loaded, the less often.
    refetchInterval: (query) => 2000 * Math.min(5, query.state.data?.pages.length ?? 1),
    placeholderData: (previous) => previous,
  });

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}", { signal, params: { path: { run_id: id } } })),
    refetchInterval: ({ state: { data, error } }) => {
      if (error instanceof ApiError && error.status === 404) return false;
      if (!link.isStreaming()) return data?.ended_at ? 5000 : 2000;
      // Its place in the queue changes without an event of its own.
      return data?.status === "queued" || data?.status === "interrupted" ? 20_000 : rarelyMs;
    },
  });

interface Moving {
  /** What of the key must be the same for the answer before to stand in until the new one is there. */
  key: readonly string[];
  /** What of the key may differ. */
  also?: readonly unknown[];
  status: RunStatus;
  /** Left out: only when the status changes. */
  everyMs?: number;
}

/** What is asked again while a run moves, and when its status changes: its last numbers come at its end. */
const whileMoving = ({ key, also = [], status, everyMs }: Moving) => ({
  queryKey: [...key, ...also, status],
  placeholderData: <T>(before: T | undefined, query: { queryKey: readonly unknown[] } | undefined) =>
    key.every((part, place) => query?.queryKey[place] === part) ? before : undefined,
  refetchInterval: isMoving(status) && everyMs ? everyMs : (false as const),
});

export const seriesQuery = (id: string, name: string, status: RunStatus) =>
  queryOptions({
    ...whileMoving({ key: ["run", id, "metrics", name], status, everyMs: 3000 }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/metrics/{name}", { signal, params: { path: { run_id: id, name } } }),
      ),
  });

export const ranksQuery = (id: string, frames: number, status: RunStatus) =>
  queryOptions({
    ...whileMoving({ key: ["run", id, "ranks", String(frames)], status, everyMs: 3000 }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/ranks", {
          signal,
          params: { path: { run_id: id }, query: { frames } },
        }),
      ),
  });

/** `prunings`: how many the page has seen; each one makes the ledger be read again. */
export const ledgerQuery = (id: string, prunings: number) =>
  queryOptions({
    queryKey: ["run", id, "ledger", prunings],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/ranks/ledger", { signal, params: { path: { run_id: id } } })),
  });

/** The changes of one module; `prunings` as above. */
export const moduleLedgerQuery = (id: string, module: number, prunings: number) =>
  queryOptions({
    queryKey: ["run", id, "ledger", prunings, module],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/ranks/ledger", {
          signal,
          params: { path: { run_id: id }, query: { module } },
        }),
      ),
  });

/** The components of one module over the steps; `prunings` as above. */
export const componentsQuery = (id: string, module: number, prunings: number, status: RunStatus) =>
  queryOptions({
    ...whileMoving({
      key: ["run", id, "components", String(module)],
      also: [prunings],
      status,
      everyMs: 30_000,
    }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/ranks/components", {
          signal,
          params: { path: { run_id: id }, query: { module, frames: 400 } },
        }),
      ),
  });

/** `started`: attempts that have begun; each may replace more. */
export const ghostQuery = (id: string, name: string, started: number, isOn: boolean) =>
  queryOptions({
    queryKey: ["run", id, "ghost", name, started],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/metrics/{name}", {
          signal,
          params: { path: { run_id: id, name }, query: { ghost: true } },
        }),
      ),
    enabled: isOn,
  });

interface SeriesWish {
  smooth: number;
  ghost: boolean;
  /** Attempts that replaced a part of an earlier one: each leaves another history. */
  cuts: number;
  status: RunStatus;
}

/** All metrics of a run, each reduced to what a chart can show. */
export const seriesListQuery = (id: string, { smooth, ghost, cuts, status }: SeriesWish) =>
  queryOptions({
    ...whileMoving({ key: ["run", id, "series"], also: [{ smooth, ghost, cuts }], status }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/series", {
          signal,
          params: { path: { run_id: id }, query: { points: "600", times: true, smooth, ghost } },
        }),
      ),
    staleTime: 30_000,
  });

/** The same of a run that is shown beside another: up to a step (null: all), without times. */
export const kinSeriesQuery = (
  id: string,
  { smooth, upTo, status }: { smooth: number; upTo: number | null; status: RunStatus },
) =>
  queryOptions({
    ...whileMoving({ key: ["run", id, "kin"], also: [{ smooth, upTo }], status, everyMs: 30_000 }),
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/runs/{run_id}/series", {
          signal,
          params: {
            path: { run_id: id },
            query: { points: "600", smooth, ...(upTo === null ? {} : { to: upTo }) },
          },
        }),
      ),
  });

interface StretchWish {
  /** Steps, both ends included; null: none. */
  stretch: { from: number; to: number } | null;
  smooth: number;
  /** A new attempt cuts the old one's end away. */
  attempt: number;
}

/** One metric between two steps: exact where they hold few enough points. */
export const stretchQuery = (id: string, name: string, { stretch, smooth, attempt }: StretchWish) =>
  queryOptions({
    queryKey: ["run", id, "stretch", name, { ...stretch, smooth, attempt }],
    queryFn: async ({ signal }) => {
      const { from, to } = stretch ?? { from: 0, to: 0 };
      const query = { from, to, smooth, times: true, points: "2000" };
      const path = "/api/v1/runs/{run_id}/metrics/{name}";
      const series = await unwrap(http.GET(path, { signal, params: { path: { run_id: id, name }, query } }));
      return { from, to, series };
    },
    placeholderData: (previous) => previous,
    enabled: stretch !== null,
  });

/** What looks wrong with a run. `everyMs`: while it moves. */
export const runHealthQuery = (id: string, status: RunStatus, everyMs: number) =>
  queryOptions({
    ...whileMoving({ key: ["run", id, "health"], status, everyMs }),
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/health", { signal, params: { path: { run_id: id } } })),
  });

export const usageQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "usage"],
    queryFn: ({ signal }) =>
      unwrap(http.GET("/api/v1/runs/{run_id}/usage", { signal, params: { path: { run_id: id } } })),
  });

export const checkpointsQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "checkpoints"],
    queryFn: async ({ signal }) =>
      (
        await unwrap(
          http.GET("/api/v1/runs/{run_id}/checkpoints", { signal, params: { path: { run_id: id } } }),
        )
      ).items,
    refetchInterval: unlessStreaming(10_000),
  });

export const treeQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "tree"],
    queryFn: async ({ signal }) =>
      (await unwrap(http.GET("/api/v1/runs/{run_id}/tree", { signal, params: { path: { run_id: id } } })))
        .items,
    refetchInterval: unlessStreaming(10_000),
  });

export const queueQuery = queryOptions({
  queryKey: ["queue"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/queue", { signal }))).items,
  refetchInterval: 2000,
});

export const compareQuery = (runs: string[]) =>
  queryOptions({
    queryKey: ["compare", runs],
    queryFn: ({ signal }) => unwrap(http.GET("/api/v1/compare", { signal, params: { query: { runs } } })),
    enabled: runs.length > 0,
  });

const constant = { staleTime: 5 * 60_000 };

export const configSchemaQuery = queryOptions({
  queryKey: ["config-schema"],
  queryFn: ({ signal }) => unwrap(http.GET("/api/v1/config-schema", { signal })),
  ...constant,
});

export const presetsQuery = queryOptions({
  queryKey: ["presets"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/presets", { signal }))).items,
  ...constant,
});

/** What to launch beside a finished run, at the same kept budget. */
export const controlsQuery = (runId: string) =>
  queryOptions({
    queryKey: ["runs", runId, "controls"],
    queryFn: async ({ signal }) =>
      (
        await unwrap(
          http.GET("/api/v1/runs/{run_id}/controls", { params: { path: { run_id: runId } }, signal }),
        )
      ).items,
    ...constant,
  });

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/models", { signal }))).items,
  staleTime: 30_000,
});

export const datasetsQuery = queryOptions({
  queryKey: ["datasets"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/datasets", { signal }))).items,
  staleTime: 30_000,
});

export const datasetPreviewQuery = (id: string, rows: number) =>
  queryOptions({
    queryKey: ["datasets", id, "preview", rows],
    queryFn: ({ signal }) =>
      unwrap(
        http.GET("/api/v1/datasets/{dataset_id}/preview", {
          signal,
          params: { path: { dataset_id: id }, query: { rows } },
        }),
      ),
    ...constant,
  });

export const workersQuery = queryOptions({
  queryKey: ["workers"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/workers", { signal }))).items,
  refetchInterval: unlessStreaming(5000),
});

export const healthQuery = queryOptions({
  queryKey: ["health"],
  queryFn: ({ signal }) => unwrap(http.GET("/api/v1/system/health", { signal })),
  refetchInterval: unlessStreaming(5000),
});
