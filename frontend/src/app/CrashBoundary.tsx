import { Container } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { useLocation } from "react-router";
import { ErrorState } from "@/components/feedback/states";

/** Shown instead of a page that failed while it was drawn or loaded; another address is another try. */
export function CrashBoundary({ children }: { children: ReactNode }) {
  return <Boundary path={useLocation().pathname}>{children}</Boundary>;
}

interface BoundaryProps {
  path: string;
  children: ReactNode;
}

class Boundary extends Component<BoundaryProps, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override componentDidUpdate(before: BoundaryProps) {
    if (this.state.error && before.path !== this.props.path) this.setState({ error: null });
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Container size="sm" py="xl">
        <ErrorState
          title={
            isOfLoading(this.state.error) ? "This part of the page could not be loaded" : "The page crashed"
          }
          error={this.state.error}
          onRetry={() => window.location.reload()}
        />
      </Container>
    );
  }
}

/** Browsers have no type for it, each has words of its own. */
const isOfLoading = (error: Error): boolean =>
  /dynamically imported module|module script failed|preload CSS/i.test(error.message);
