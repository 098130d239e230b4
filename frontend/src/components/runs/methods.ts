/** The methods as the API describes them. The page knows none by name. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { http, unwrap } from "@/api/client";
import type { MethodInfo, RunConfig } from "@/api/types";

export const methodsQuery = queryOptions({
  queryKey: ["methods"],
  queryFn: async ({ signal }) => (await unwrap(http.GET("/api/v1/methods", { signal }))).items,
  // They change only with the server's version, and then the page is reloaded.
  staleTime: Number.POSITIVE_INFINITY,
});

const none: readonly MethodInfo[] = [];

/** All methods in the order of the form; empty until the API has answered. */
export const useMethods = (): readonly MethodInfo[] => useQuery(methodsQuery).data ?? none;

export const useMethod = (name: string): MethodInfo => methodCalled(name, useMethods());

/** What is known about the method; until the API has answered, a method with ranks that can't do anything else. */
export const methodCalled = (name: string, methods: readonly MethodInfo[]): MethodInfo =>
  methods.find((method) => method.name === name) ?? {
    name,
    label: name,
    title: name,
    has_ranks: true,
    rank_changes: "never",
    rank_note: "",
    prunes: false,
    budget_field: null,
    trains_scales: false,
    can_be_steered: false,
    fork_fields: [],
    fork_fields_after_pruning: [],
    learning_rate: 0,
    artifact: "adapter",
  };

/** The value of an option that is a number; null if the method has no such option. */
export function numberOption(method: RunConfig["method"], field: string | null): number | null {
  const value = field === null ? null : (method as unknown as Record<string, unknown>)[field];
  return typeof value === "number" ? value : null;
}
