// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import { Answer, RowChooser } from "./TokensPanel";
import recorded from "./token-rows.recorded.json";

const result = recorded as Parameters<typeof Answer>[0]["result"];

test("a row shows its text, its tokens, those with a loss and those that are cut off", () => {
  render(
    <MantineProvider env="test">
      <Answer result={result} row={1} hasIds />
    </MantineProvider>,
  );
  const row = recorded.rows[0];
  const sequence = row?.sequences[0];
  expect(screen.getByTitle("Conversation").textContent).toBe(row?.texts[0]?.text);
  const tokens = within(screen.getByRole("list", { name: "Input tokens" })).getAllByRole("listitem");
  const states = tokens.map((token) => token.dataset.state);
  expect(states.filter((state) => state !== "cut")).toHaveLength(22);
  expect(states.slice(-4)).toEqual(["learned", "learned", "cut", "cut"]);
  expect(tokens.at(-1)?.textContent).toContain(String(sequence?.ids.at(-1)));
  expect(screen.getByText("Input: 22 tokens, 2 cut off, 2 with a loss")).toBeTruthy();
  const lengths = screen.getByTestId("token-lengths");
  expect(lengths.textContent).toContain("23 (96 %) do not fit into 22 tokens, of all 24 used rows");
});

test("rows are chosen by number and by arrows, within the data set", async () => {
  const chosen: number[] = [];
  render(
    <MantineProvider env="test">
      <RowChooser row={1} rows={24} onRow={(row) => chosen.push(row)} />
    </MantineProvider>,
  );
  expect(screen.getByRole("button", { name: "Previous row" })).toHaveProperty("disabled", true);
  await userEvent.click(screen.getByRole("button", { name: "Next row" }));
  await userEvent.type(screen.getByLabelText("Row"), "00");
  expect(chosen).toEqual([2, 10, 24]);
});
