import { Button } from "@mantine/core";
import { Link } from "react-router";
import { EmptyState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";

export function NotFoundPage() {
  useTitle("Not found");
  return (
    <EmptyState
      title="Page not found"
      action={
        <Button component={Link} to="/">
          All runs
        </Button>
      }
    >
      The address may be wrong, or the page may have moved.
    </EmptyState>
  );
}
