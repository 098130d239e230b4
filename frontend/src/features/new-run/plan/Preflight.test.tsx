// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import type { PreflightChecks } from "@/api/types";
import { Preflight } from "./Preflight";
import recorded from "./preflight.recorded.json";

const checks = recorded as unknown as PreflightChecks;

test("a run that needs more than is free shows why, and one click applies a change", async () => {
  const applied: unknown[] = [];
  render(
    <MantineProvider env="test">
      <Preflight checks={checks} onApply={(changes) => applied.push(changes)} />
    </MantineProvider>,
  );
  const memory = recorded.memory;
  expect(screen.getByText(memory.message)).toBeDefined();
  expect(screen.getByRole("img").getAttribute("aria-label")).toContain("Activations 3.9 GB");
  expect(screen.getByText(/unknown until a run with this model/)).toBeDefined();
  expect(screen.getByText(recorded.disk.message)).toBeDefined();
  expect(screen.queryByText(/Corrected by the measurement/)).toBeNull();
  await userEvent.click(screen.getByRole("button", { name: new RegExp(memory.savings[0]?.label ?? "none") }));
  expect(applied).toEqual([memory.savings[0]?.changes]);
});

test("a measurement shows what it was based on, next to earlier runs", () => {
  const probe = {
    steps: 12,
    step_s: 0.25,
    peak_bytes: 1.2e9,
    device_name: "CPU (a CPU)",
    measured_at: 1,
  };
  const time = { step_s: 0.25, total_s: 250, includes_evaluations: false, based_on: 0, probe };
  const show = (based_on: number) => (
    <MantineProvider env="test">
      <Preflight checks={{ ...checks, time: { ...time, based_on } }} onApply={() => undefined} />
    </MantineProvider>
  );
  const { rerender } = render(show(0));
  expect(screen.getByTestId("preflight").textContent).toContain(
    "About 4 min without evaluations, 250 ms per step (12 steps measured on CPU (a CPU), peak 1.2 GB)",
  );
  rerender(show(2));
  expect(screen.getByTestId("preflight").textContent).toContain(
    "median of 2 earlier runs of this shape, and of 12",
  );
});
