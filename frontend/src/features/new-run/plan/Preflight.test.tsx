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
  await userEvent.click(screen.getByRole("button", { name: new RegExp(memory.savings[0]?.label ?? "none") }));
  expect(applied).toEqual([memory.savings[0]?.changes]);
});
