import { lazy } from "react";
import { Navigate, Route, Routes } from "react-router";
import { NotFoundPage } from "./NotFoundPage";
import { Root } from "./Root";

// Each page is a chunk of its own.
const RunsPage = lazy(async () => ({ default: (await import("@/features/runs/RunsPage")).RunsPage }));
const NewRunPage = lazy(async () => ({
  default: (await import("@/features/new-run/NewRunPage")).NewRunPage,
}));
const RunPage = lazy(async () => ({ default: (await import("@/features/run/RunPage")).RunPage }));
const ComparePage = lazy(async () => ({
  default: (await import("@/features/compare/ComparePage")).ComparePage,
}));

/**
 * The addresses of the page. Plain routes: all data come through the query cache, and the router that loads data itself
 * is five times as large.
 */
export function AppRoutes() {
  return (
    <Routes>
      <Route path="/" element={<Root />}>
        <Route index element={<RunsPage />} />
        <Route path="new" element={<NewRunPage />} />
        <Route path="runs/:id" element={<RunPage />} />
        <Route path="compare" element={<ComparePage />} />
        {/* Where the server leads a link with a wrong token; whoever is signed in has nothing to do there. */}
        <Route path="sign-in" element={<Navigate to="/" replace />} />
        <Route path="*" element={<NotFoundPage />} />
      </Route>
    </Routes>
  );
}
