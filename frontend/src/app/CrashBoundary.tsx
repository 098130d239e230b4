import { Container } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { useLocation } from "react-router";
import { ErrorState } from "@/components/feedback/states";

/** Replaces a page that failed to render or load; opening another address tries again. */
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
          title={isOfLoading(this.state.error) ? "This part of the page failed to load" : "The page crashed"}
          error={this.state.error}
          onRetry={() => window.location.reload()}
        />
      </Container>
    );
  }
}

/** Browsers have no error type for it, and each has its own message. */
const isOfLoading = (error: Error): boolean =>
  /dynamically imported module|module script failed|preload CSS/i.test(error.message);
