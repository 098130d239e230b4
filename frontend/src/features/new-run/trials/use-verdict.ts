import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ApiError } from "@/api/client";
import type { FieldProblem } from "@/api/types";

const typingMs = 350;

interface Verdict<Plan> {
  plan: Plan | null;
  problems: FieldProblem[];
}

/**
 * What the API would train for this body, or an ApiError with its problems by field. Launches nothing.
 *
 * `body` must stay the same object until it is changed.
 */
export function useVerdict<Body extends object, Plan>(
  noun: "sweep" | "experiment",
  body: Body,
  validate: (body: Body, signal: AbortSignal) => Promise<Verdict<Plan>>,
) {
  const [checked] = useDebouncedValue(body, typingMs);
  const query = useQuery({
    // Neither name nor notes change what is trained.
    queryKey: [`${noun}-plan`, { ...checked, name: "", notes: "" }],
    queryFn: async ({ signal }) => {
      const { plan, problems } = await validate(checked, signal);
      if (!plan) throw new ApiError(422, `This ${noun} can't run.`, "", problems);
      return plan;
    },
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const isChecking = query.isFetching || checked !== body;
  return {
    plan: query.data,
    error: query.error,
    isChecking,
    /** Whether the plan is that of `body`. */
    isCurrent: query.isSuccess && !query.isPlaceholderData && !isChecking,
  };
}
