// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { expect, test } from "vitest";
import { valueAt } from "@/api/config";
import type { ConfigDraft } from "@/api/types";
import { readDecimal } from "./DecimalInput";
import { defaultDraft } from "./draft";
import { SchemaForm } from "./SchemaForm";
import { formSections } from "./schema";
import { schema } from "./schema.fixture";

const sections = formSections(schema);
let current: ConfigDraft = {};
const chosen: string[] = [];

function Form({ errors = {} }: { errors?: Record<string, string> }) {
  const [draft, setDraft] = useState(() => defaultDraft(sections));
  current = draft;
  return (
    <MantineProvider env="test">
      <SchemaForm
        sections={sections}
        draft={draft}
        onDraft={setDraft}
        errors={errors}
        origin={null}
        optionsOf={(field) =>
          field.optionsFrom === "datasets"
            ? [
                { value: "reviews", label: "Film reviews" },
                {
                  value: "ragged",
                  label: "ragged.csv",
                  disabled: true,
                  problem: "Line 3 has 4 fields, not 2.",
                },
              ]
            : []
        }
        onVariant={(_, value) => chosen.push(value)}
        switching={null}
        afterChoice={{ method: <p>What the switch changed</p> }}
      />
    </MantineProvider>
  );
}

test("every field is found by its label and writes what is typed", async () => {
  render(<Form />);
  const rank = screen.getByLabelText("Target rank");
  await userEvent.clear(rank);
  await userEvent.type(rank, "4");
  expect(valueAt(current, "method.target_rank")).toBe(4);
});

test("an emptied number is null, not zero", async () => {
  render(<Form />);
  await userEvent.clear(screen.getByLabelText("Evaluation share"));
  expect(valueAt(current, "data.eval_fraction")).toBeNull();
});

test("an error is shown at its field with the API's message", () => {
  render(<Form errors={{ "method.target_rank": "Is 0; it must be at least 1. Use 1 or more." }} />);
  expect(screen.getByLabelText("Target rank")).toHaveAccessibleDescription(
    /must be at least 1\. Use 1 or more\./,
  );
  expect(screen.getByLabelText("Target rank")).toBeInvalid();
});

test("an error in a collapsed field expands it", () => {
  render(<Form errors={{ "method.score": "Is wrong." }} />);
  expect(screen.getByText("Is wrong.")).toBeVisible();
});

test("the form requests another method and does not make one up", async () => {
  render(<Form />);
  const before = current;
  await userEvent.click(screen.getByLabelText("Method"));
  await userEvent.click(await screen.findByText("LoRA"));
  expect(chosen).toEqual(["lora"]);
  expect(current).toBe(before);
  expect(screen.getByText("What the switch changed")).toBeVisible();
});

test("collapsed fields that are not at their default are listed", async () => {
  render(<Form />);
  expect(screen.queryByTestId("folded-values")).not.toBeInTheDocument();
  const folded = screen.getAllByRole("button", { name: /Advanced/ })[1];
  if (!folded) throw new Error("the method has no folded fields");
  await userEvent.click(folded);
  await userEvent.clear(screen.getByLabelText("LoRA alpha"));
  await userEvent.type(screen.getByLabelText("LoRA alpha"), "32");
  await userEvent.click(folded);
  expect(screen.getByTestId("folded-values")).toHaveTextContent("LoRA alpha: 32");
});

test("an unusable data set is listed with its reason and cannot be chosen", async () => {
  render(<Form />);
  await userEvent.click(screen.getByRole("combobox", { name: "Data set" }));
  const bad = await screen.findByRole("option", { name: /ragged\.csv/ });
  expect(bad).toHaveTextContent("Line 3 has 4 fields, not 2.");
  await userEvent.click(bad);
  expect(valueAt(current, "data.id")).not.toBe("ragged");
});

test("a field with the installation's options offers them", async () => {
  render(<Form />);
  await userEvent.click(screen.getByRole("combobox", { name: "Data set" }));
  await userEvent.click(await screen.findByText("Film reviews"));
  expect(valueAt(current, "data.id")).toBe("reviews");
});

test("numbers may be written with an exponent", async () => {
  render(<Form />);
  const share = screen.getByLabelText("Evaluation share");
  await userEvent.clear(share);
  await userEvent.type(share, "3e-3");
  expect(valueAt(current, "data.eval_fraction")).toBe(0.003);
  expect(share).toHaveValue("3e-3");
});

test.each([
  ["1e-4", 0.0001],
  ["0,5", 0.5],
  [" 2 ", 2],
  ["", null],
  ["3e-", "3e-"],
  ["Infinity", "Infinity"],
])("%j is read as %j", (text, value) => {
  expect(readDecimal(text)).toBe(value);
});

test("a field that has no effect is hidden, unless it has an error", async () => {
  const form = render(<Form />);
  expect(screen.queryByLabelText("Column of the parts")).toBeNull();
  await userEvent.click(screen.getByRole("combobox", { name: "Split" }));
  await userEvent.click(await screen.findByRole("option", { name: "parts" }));
  expect(screen.getByRole("combobox", { name: "Column of the parts" })).toBeTruthy();
  form.unmount();
  render(<Form errors={{ "data.split_column": "is not a column" }} />);
  expect(screen.getByText("is not a column")).toBeTruthy();
});
