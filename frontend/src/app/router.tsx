import { createBrowserRouter, Navigate } from "react-router";
import { CrashPage, NotFoundPage } from "./pages";
import { Root } from "./Root";

/** Each page is a chunk of its own. */
export const router = createBrowserRouter([
  {
    path: "/",
    element: <Root />,
    errorElement: <CrashPage />,
    HydrateFallback: () => null,
    children: [
      {
        errorElement: <CrashPage />,
        children: [
          {
            index: true,
            lazy: async () => ({ Component: (await import("@/features/runs/RunsPage")).RunsPage }),
          },
          {
            path: "new",
            lazy: async () => ({ Component: (await import("@/features/new-run/NewRunPage")).NewRunPage }),
          },
          {
            path: "runs/:id",
            lazy: async () => ({ Component: (await import("@/features/run/RunPage")).RunPage }),
          },
          {
            path: "compare",
            lazy: async () => ({ Component: (await import("@/features/compare/ComparePage")).ComparePage }),
          },
          // Where the server leads a link with a wrong token; whoever is signed in has nothing to do there.
          { path: "sign-in", element: <Navigate to="/" replace /> },
          { path: "*", element: <NotFoundPage /> },
        ],
      },
    ],
  },
]);
