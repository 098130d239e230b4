import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  resolve: {
    alias: {
      "@docs": fileURLToPath(new URL("../docs", import.meta.url)),
      "@": fileURLToPath(new URL("./src", import.meta.url)),
    },
  },
  server: {
    fs: { allow: [".", "../docs"] },
    proxy: { "/api": process.env["RANKSCOPE_API"] ?? "http://127.0.0.1:8123" },
  },
  build: {
    outDir: "../backend/rankscope/static",
    emptyOutDir: true,
    // Plotly is one chunk of 1.4 MB by its nature; it is loaded only where a chart is drawn.
    chunkSizeWarningLimit: 1600,
    // Inlined fonts and pictures would need data: in the content security policy.
    assetsInlineLimit: 0,
    // tests/house/test_page_size.py reads it.
    manifest: true,
    // One small file with the first load: a stylesheet that fails later would not be asked for again.
    cssCodeSplit: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // What six pages or tabs share is one chunk: twenty small ones are 10 kB more, for the heads of their requests
          // and because each is compressed alone. Lists to choose from, fields for numbers and dialogs are not on the first
          // pages.
          groups: [
            {
              name: "shared",
              minShareCount: 6,
              test: (module) =>
                !/Combobox|Select|NumberInput|react-number-format|Modal|remove-scroll|use-sidecar|Textarea|Notification|transition-group/.test(
                  module,
                ),
            },
            { name: "icons", minShareCount: 2, test: /@tabler/ },
          ],
        },
      },
    },
  },
  test: {
    // Nothing is timed: other tests use the cores at the same time.
    testTimeout: 60_000,
    environment: "node",
    pool: "threads",
    // All files share their modules: loading React, Mantine and the page anew for each took most of the time.
    isolate: false,
    setupFiles: ["./src/test-setup.ts"],
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
  },
});
