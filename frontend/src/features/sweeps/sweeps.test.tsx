// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { MemoryRouter, Route, Routes } from "react-router";
import { afterEach, expect, test, vi } from "vitest";
import { createQueryClient } from "@/components/server/query-client";
import { SweepPage } from "./SweepPage";
import { SweepsPage } from "./SweepsPage";
import recorded from "./sweeps.recorded.json";

// Drawing needs a browser.
vi.mock("@/charts/plot/Plot", () => ({
  Plot: ({ label }: { label: string }) => <div role="img" aria-label={label} />,
}));

type Name = "grid" | "done" | "halving";
const at = "/api/v1/sweeps";

interface Sent {
  request: string;
  body: unknown;
}

/** Answers as the server did when it was recorded; `changed` replaces or adds some. */
function serve(changed: Record<string, unknown> = {}): Sent[] {
  const answers: Record<string, unknown> = { [`GET ${at}`]: recorded.list };
  for (const name of ["grid", "done", "halving"] as const) {
    const of = `GET ${at}/sweep-${name}`;
    answers[of] = recorded[name].sweep;
    answers[`${of}/leaderboard`] = recorded[name].leaderboard;
    answers[`${of}/analysis`] = recorded.done.analysis;
  }
  answers[`GET ${at}/sweep-grid/table`] = recorded.grid.table;
  Object.assign(answers, changed);
  const sent: Sent[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const address = new URL(request.url);
    const asked = `${request.method} ${address.pathname}`;
    const text = request.method === "GET" ? "" : await request.text();
    sent.push({ request: `${asked}${address.search}`, body: text ? JSON.parse(text) : null });
    const answer = answers[asked];
    if (answer === undefined) {
      const problem = { title: "Not found", detail: `There is nothing at ${asked}.`, next_step: "Go back." };
      return Response.json(problem, { status: 404 });
    }
    return typeof answer === "string" ? new Response(answer) : Response.json(answer);
  });
  return sent;
}

function open(address: string) {
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={createQueryClient()}>
        <MemoryRouter initialEntries={[address]}>
          <Routes>
            <Route path="/sweeps" element={<SweepsPage />} />
            <Route path="/sweeps/:id" element={<SweepPage />} />
          </Routes>
        </MemoryRouter>
      </QueryClientProvider>
    </MantineProvider>,
  );
}

const sweep = async (name: Name) => {
  open(`/sweeps/sweep-${name}`);
  await screen.findByTestId("leaderboard");
};
const rows = () => [...screen.getByTestId("leaderboard").querySelectorAll<HTMLElement>("[data-point]")];
const textOf = (element: HTMLElement | undefined) => element?.textContent ?? "";

afterEach(() => vi.unstubAllGlobals());

test("the list shows how far each sweep is, its best point, and its message", async () => {
  serve();
  open("/sweeps");
  const row = (await screen.findByText("Rates and ranks")).closest("tr") as HTMLElement;
  expect(within(row).getByText("Paused")).toBeDefined();
  expect(row.textContent).toContain("8 of 12, 2 failed");
  expect(row.textContent).toContain("85.00 ± 7.07");
  expect(row.textContent).toContain("learning rate 0.01, target rank 1");
  expect(screen.getAllByRole("row")).toHaveLength(4);
});

test("without a sweep, the list says what one is and how to start", async () => {
  serve({ [`GET ${at}`]: { items: [] } });
  open("/sweeps");
  expect(await screen.findByText("No sweeps yet")).toBeDefined();
  expect(screen.getByRole("link", { name: "New sweep" }).getAttribute("href")).toBe("/sweeps/new");
});

test("a sweep that does not exist shows the API's sentence and a way back", async () => {
  serve();
  open("/sweeps/gone");
  expect(await screen.findByText(/There is nothing at/)).toBeDefined();
  expect(screen.getByRole("link", { name: "All sweeps" }).getAttribute("href")).toBe("/sweeps");
});

test("the leaderboard has the best point first, then what trains, and what has failed last", async () => {
  serve();
  await sweep("grid");
  expect(rows().map((row) => row.dataset["point"])).toEqual(
    recorded.grid.leaderboard.items.map(({ point }) => String(point)),
  );
  expect(textOf(rows()[0])).toContain("185.007.070.01185.0080.0090.002");
  expect(textOf(rows()[3])).toContain("Active");
  expect(textOf(rows().at(-1))).toContain("Failed");
  expect(screen.getByTitle("Seed 0: failed. Out of memory at step 3.").textContent).toBe("0 failed");
  const state = screen.getByTestId("sweep-state").textContent;
  expect(state).toContain("8 of 12 trials have ended (2 failed); 1 is running.");
  expect(state).toContain("Best accuracy: 85.00 ± 7.07 with learning rate 0.01, target rank 1.");
});

test("points that halving has stopped show their last value, below those that train", async () => {
  serve();
  await sweep("halving");
  expect(rows().map((row) => textOf(row).slice(0, 13))).toEqual([
    "Active70.00 a",
    "Active60.00 a",
    "Stopped early",
    "Stopped early",
  ]);
});

test("importance and correlations are shown, and a marked point is marked in the table", async () => {
  serve();
  await sweep("done");
  const parameters = (await screen.findByText("Parameters")).closest("section") as HTMLElement;
  const rate = parameters.querySelector("[data-parameter='training.learning_rate']");
  expect(rate?.textContent).toContain("100 %");
  expect(rate?.textContent).toContain("+0.26");
  expect(screen.getByRole("img").getAttribute("aria-label")).toContain("12 points over 2 parameters");
  const best = screen.getByRole("button", { name: "Mark the point of rank 1 in the chart" });
  await userEvent.click(best);
  expect(best.getAttribute("aria-pressed")).toBe("true");
});

test("a sweep is renamed, and gets notes", async () => {
  const changed = { ...recorded.grid.sweep, name: "Rates" };
  const sent = serve({ [`PATCH ${at}/sweep-grid`]: changed });
  await sweep("grid");
  await userEvent.click(screen.getByRole("button", { name: "Rename" }));
  const input = screen.getByLabelText("Name of the sweep");
  await userEvent.clear(input);
  await userEvent.type(input, " Rates {Enter}");
  await waitFor(() =>
    expect(sent).toContainEqual({ request: `PATCH ${at}/sweep-grid`, body: { name: "Rates" } }),
  );
  expect(await screen.findByRole("heading", { name: "Rates" })).toBeDefined();
  await userEvent.click(screen.getByRole("button", { name: "Add notes" }));
  await userEvent.type(await screen.findByLabelText("Notes"), "Seen.");
  await waitFor(() =>
    expect(sent).toContainEqual({ request: `PATCH ${at}/sweep-grid`, body: { notes: "Seen." } }),
  );
});

test("a paused sweep is resumed at once, and stopped after a question", async () => {
  const detail = recorded.grid.sweep;
  const sent = serve({ [`POST ${at}/sweep-grid/resume`]: detail, [`POST ${at}/sweep-grid/stop`]: detail });
  await sweep("grid");
  await userEvent.click(screen.getByRole("button", { name: "Resume" }));
  await userEvent.click(screen.getByRole("button", { name: "Stop" }));
  expect(sent.some(({ request }) => request.endsWith("/stop"))).toBe(false);
  await userEvent.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Stop" }));
  await waitFor(() =>
    expect(sent.map(({ request }) => request)).toEqual(
      expect.arrayContaining([`POST ${at}/sweep-grid/resume`, `POST ${at}/sweep-grid/stop`]),
    ),
  );
});

test("seeds are added as numbers that the sweep does not have yet", async () => {
  const sent = serve({ [`POST ${at}/sweep-grid/extend`]: recorded.grid.sweep });
  await sweep("grid");
  await userEvent.click(screen.getByRole("button", { name: "Extend" }));
  const dialog = screen.getByRole("dialog");
  expect(within(dialog).queryByLabelText("Points to add")).toBeNull();
  await userEvent.type(within(dialog).getByLabelText("Seeds to add"), "2");
  await userEvent.click(within(dialog).getByRole("button", { name: "Extend" }));
  await waitFor(() =>
    expect(sent).toContainEqual({ request: `POST ${at}/sweep-grid/extend`, body: { seeds: [2, 3] } }),
  );
});

test("a table for a paper has the rows and columns that were chosen", async () => {
  const sent = serve();
  await sweep("grid");
  await userEvent.click(screen.getByRole("button", { name: "Table for a paper" }));
  const dialog = await screen.findByRole("dialog");
  await userEvent.click(await within(dialog).findByRole("combobox", { name: "Rows" }));
  await userEvent.click(await screen.findByRole("option", { name: "target rank" }));
  await userEvent.click(within(dialog).getByRole("combobox", { name: "Columns" }));
  await userEvent.click(await screen.findByRole("option", { name: "learning rate" }));
  await waitFor(() =>
    // The page also asks for the sweep while it has a run.
    expect(sent.map(({ request }) => request)).toContain(
      `GET ${at}/sweep-grid/table?format=markdown&rows=method.target_rank&columns=training.learning_rate`,
    ),
  );
  expect(within(dialog).getByTestId("sweep-table").textContent).toContain("85.00 ± 7.07");
});
