import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./app.css";
import "@/components/navigation/history-guard";
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { createQueryClient } from "@/components/server/query-client";
import { CrashBoundary } from "./CrashBoundary";
import { LazyNotifications } from "./LazyNotifications";
import { LinkBanner } from "./LinkBanner";
import { AppRoutes } from "./routes";
import { theme } from "./theme";
import { watchTyping } from "./typed";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element #root.");

watchTyping();

createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <LazyNotifications />
      <QueryClientProvider client={createQueryClient()}>
        <BrowserRouter>
          <LinkBanner />
          <CrashBoundary>
            <AppRoutes />
          </CrashBoundary>
        </BrowserRouter>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
