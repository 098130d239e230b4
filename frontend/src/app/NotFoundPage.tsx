import { Button } from "@mantine/core";
import { Link } from "react-router";
import { EmptyState } from "@/components/feedback/states";
import { useTitle } from "@/components/navigation/use-title";

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
