import { Button, Container } from "@mantine/core";
import { Link, useRouteError } from "react-router";
import { EmptyState, ErrorState } from "@/components/states";
import { useTitle } from "@/components/use-title";

export function NotFoundPage() {
  useTitle("Not found");
  return (
    <EmptyState
      title="There is no such page"
      action={
        <Button component={Link} to="/">
          All runs
        </Button>
      }
    >
      The address may be mistyped, or the page has moved.
    </EmptyState>
  );
}

export function CrashPage() {
  const error = useRouteError();
  return (
    <Container size="sm" py="xl">
      <ErrorState
        title="The page broke"
        error={error instanceof Error ? error : new Error(String(error))}
        onRetry={() => window.location.reload()}
      />
    </Container>
  );
}
