import { Center, Container, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Suspense, useEffect } from "react";
import { Outlet } from "react-router";
import { ApiError } from "@/api/client";
import { sessionQuery } from "@/api/queries";
import { link } from "@/api/server-link";
import { ErrorState } from "@/components/feedback/states";
import { methodsQuery } from "@/components/runs/methods";
import { tasksQuery } from "@/components/runs/tasks";
import { lazyPart } from "@/components/server/load-part";
import { CrashBoundary } from "./CrashBoundary";
import { Shell } from "./Shell";

const SignInPage = lazyPart(
  () => import("@/features/sign-in/SignInPage"),
  (part) => part.SignInPage,
);

/** The sign-in page, or the shell with the page in it. */
export function Root() {
  const session = useQuery({ ...sessionQuery, retry: 5 });
  const isSignedIn = session.data?.signed_in === true;
  // Every page names methods and metrics, so they are loaded before the first page is rendered.
  useQuery({ ...methodsQuery, enabled: isSignedIn });
  useQuery({ ...tasksQuery, enabled: isSignedIn });
  useEffect(() => (isSignedIn ? link.watch() : undefined), [isSignedIn]);
  const isRefused = session.error instanceof ApiError && session.error.status === 401;
  if (session.data?.signed_in === false || isRefused) {
    return (
      <Suspense fallback={<Loading />}>
        <SignInPage />
      </Suspense>
    );
  }
  if (session.data) {
    return (
      <Shell>
        <CrashBoundary>
          <Suspense fallback={<Loading />}>
            <Outlet />
          </Suspense>
        </CrashBoundary>
      </Shell>
    );
  }
  if (session.error) {
    return (
      <Container size="sm" py={80}>
        <ErrorState error={session.error} title="Server unreachable" onRetry={() => void session.refetch()} />
      </Container>
    );
  }
  return <Loading />;
}

function Loading() {
  return (
    <Center h="100vh">
      <Loader role="status" aria-label="Loading" />
    </Center>
  );
}
