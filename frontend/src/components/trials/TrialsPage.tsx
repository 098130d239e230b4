import { Button, Container, Skeleton, Stack } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";
import { ErrorState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";

interface TrialsPageProps<Detail extends { name: string }> {
  noun: "sweep" | "experiment";
  query: UseQueryResult<Detail>;
  children: (detail: Detail) => ReactNode;
}

/** The page of one sweep or experiment, or why it can't be shown. */
export function TrialsPage<Detail extends { name: string }>({
  noun,
  query,
  children,
}: TrialsPageProps<Detail>) {
  useTitle(query.data?.name ?? `${noun.charAt(0).toUpperCase()}${noun.slice(1)}`);
  return (
    <Container size="xl" px={{ base: "sm", sm: "lg" }} py="md">
      {query.data ? (
        <Stack gap="md">{children(query.data)}</Stack>
      ) : query.error ? (
        <Stack gap="md" align="flex-start">
          <ErrorState
            error={query.error}
            title={`This ${noun} can't be shown`}
            onRetry={() => void query.refetch()}
          />
          <Button component={Link} to={`/${noun}s`} variant="default">
            All {noun}s
          </Button>
        </Stack>
      ) : (
        <Stack gap="md" aria-label="Loading" aria-busy>
          <Skeleton height={60} />
          <Skeleton height={260} />
        </Stack>
      )}
    </Container>
  );
}
