// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { Link, MemoryRouter, Route, Routes } from "react-router";
import { expect, test, vi } from "vitest";
import { CrashBoundary } from "./CrashBoundary";

function Broken(): never {
  throw new Error("No such axis.");
}

test("a page that crashes says so, and the next page is rendered", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  render(
    <MantineProvider env="test">
      <MemoryRouter initialEntries={["/broken"]}>
        <Link to="/whole">Another</Link>
        <CrashBoundary>
          <Routes>
            <Route path="/broken" element={<Broken />} />
            <Route path="/whole" element="All is well." />
          </Routes>
        </CrashBoundary>
      </MemoryRouter>
    </MantineProvider>,
  );
  expect(screen.getByRole("alert")).toHaveTextContent("No such axis.");
  await userEvent.click(screen.getByText("Another"));
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByText("All is well.")).toBeVisible();
});
