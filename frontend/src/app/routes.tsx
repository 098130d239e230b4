import { Navigate, Route, Routes } from "react-router";
import { lazyPart } from "@/components/server/load-part";
import { NotFoundPage } from "./NotFoundPage";
import { Root } from "./Root";

// Each page is a separate chunk.
const RunsPage = lazyPart(
  () => import("@/features/runs/RunsPage"),
  (part) => part.RunsPage,
);
const NewRunPage = lazyPart(
  () => import("@/features/new-run/NewRunPage"),
  (part) => part.NewRunPage,
);
const NewExperimentPage = lazyPart(
  () => import("@/features/new-run/experiment/NewExperimentPage"),
  (part) => part.NewExperimentPage,
);
const RunPage = lazyPart(
  () => import("@/features/run/RunPage"),
  (part) => part.RunPage,
);
const ComparePage = lazyPart(
  () => import("@/features/compare/ComparePage"),
  (part) => part.ComparePage,
);
const DataPage = lazyPart(
  () => import("@/features/data/DataPage"),
  (part) => part.DataPage,
);
const DatasetPage = lazyPart(
  () => import("@/features/data/DatasetPage"),
  (part) => part.DatasetPage,
);
const ModelsPage = lazyPart(
  () => import("@/features/models/ModelsPage"),
  (part) => part.ModelsPage,
);
const ImportRunPage = lazyPart(
  () => import("@/features/import-run/ImportRunPage"),
  (part) => part.ImportRunPage,
);
const ExperimentsPage = lazyPart(
  () => import("@/features/experiments/ExperimentsPage"),
  (part) => part.ExperimentsPage,
);
const ExperimentPage = lazyPart(
  () => import("@/features/experiments/ExperimentPage"),
  (part) => part.ExperimentPage,
);
const SweepsPage = lazyPart(
  () => import("@/features/sweeps/SweepsPage"),
  (part) => part.SweepsPage,
);
const SweepPage = lazyPart(
  () => import("@/features/sweeps/SweepPage"),
  (part) => part.SweepPage,
);
const NewSweepPage = lazyPart(
  () => import("@/features/new-run/sweep/NewSweepPage"),
  (part) => part.NewSweepPage,
);
const GlossaryPage = lazyPart(
  () => import("@/features/glossary/GlossaryPage"),
  (part) => part.GlossaryPage,
);

/**
 * The addresses of the page. Plain routes: all data comes through the query cache, and the data router is five times as
 * large.
 */
export function AppRoutes() {
  return (
    <Routes>
      <Route path="/" element={<Root />}>
        <Route index element={<RunsPage />} />
        <Route path="new" element={<NewRunPage />} />
        <Route path="experiments/new" element={<NewExperimentPage />} />
        <Route path="runs/:id" element={<RunPage />} />
        <Route path="compare" element={<ComparePage />} />
        <Route path="data" element={<DataPage />} />
        <Route path="data/:id" element={<DatasetPage />} />
        <Route path="models" element={<ModelsPage />} />
        <Route path="import" element={<ImportRunPage />} />
        <Route path="experiments" element={<ExperimentsPage />} />
        <Route path="experiments/:id" element={<ExperimentPage />} />
        <Route path="sweeps" element={<SweepsPage />} />
        <Route path="sweeps/new" element={<NewSweepPage />} />
        <Route path="sweeps/:id" element={<SweepPage />} />
        <Route path="glossary" element={<GlossaryPage />} />
        {/* The server redirects links with a wrong token here; a signed-in user is sent on to the runs. */}
        <Route path="sign-in" element={<Navigate to="/" replace />} />
        <Route path="*" element={<NotFoundPage />} />
      </Route>
    </Routes>
  );
}
