// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { expect, test } from "vitest";
import type { ModelModule } from "@/api/types";
import { ModuleTree } from "./ModuleTree";
import { added, type Grouping, groupsOf } from "./module-tree";

const layer = (stack: string, number: number | null, kind: string): ModelModule => ({
  name: [stack, number === null ? "" : `layers.${number}`, kind].filter(Boolean).join("."),
  stack,
  layer: number,
  kind,
  out_features: 8,
  in_features: 4,
});
// In the order of a file: by name.
const modules = [
  ...[0, 1, 10, 2].flatMap((number) => [layer("decoder", number, "encoder_attn.q_proj")]),
  ...[0, 1, 10, 2].flatMap((number) =>
    ["fc1", "k_proj", "q_proj"].map((kind) => layer("encoder", number, kind)),
  ),
  layer("", null, "pooler"),
];
let chosen: ReadonlySet<string> = new Set();

function Shown({ grouping = "kind" }: { grouping?: Grouping }) {
  const [now, setNow] = useState<ReadonlySet<string>>(new Set());
  chosen = now;
  return (
    <MantineProvider env="test">
      <ModuleTree
        groups={groupsOf(modules, grouping)}
        chosen={now}
        onChange={setNow}
        addedBy={({ module }) => added(module, 3, true)}
      />
    </MantineProvider>
  );
}

test("layers are grouped in the order of the forward pass", () => {
  const labels = (grouping: Grouping) => groupsOf(modules, grouping).map((group) => group.label);
  expect(labels("kind")).toEqual([
    "encoder q_proj",
    "encoder k_proj",
    "encoder fc1",
    "decoder encoder_attn.q_proj",
    "Outside the blocks",
  ]);
  expect(labels("layer").slice(0, 5)).toEqual([
    "Encoder layer 0",
    "Encoder layer 1",
    "Encoder layer 2",
    "Encoder layer 10",
    "Decoder layer 0",
  ]);
});

test("the keyboard opens a group, moves in it and chooses, and each line says what it adds", async () => {
  render(<Shown />);
  await userEvent.tab();
  expect(document.activeElement).toHaveAccessibleName("encoder q_proj 0 of 4 chosen +156 parameters");
  await userEvent.keyboard("{ArrowRight}{ArrowRight}");
  expect(document.activeElement).toHaveAccessibleName("Layer 0 8 x 4 +39 parameters");
  await userEvent.keyboard("{ArrowDown} ");
  expect([...chosen]).toEqual(["encoder.layers.1.q_proj"]);
  const group = screen.getByRole("treeitem", { name: /^encoder q_proj 1 of 4/ });
  expect(group).toHaveAttribute("aria-checked", "mixed");
  await userEvent.keyboard("{ArrowLeft}{Enter}");
  expect(group).toHaveAttribute("aria-checked", "true");
  expect(chosen.size).toBe(4);
  await userEvent.keyboard("{ArrowLeft}{End} {Home} ");
  expect(group).toHaveAttribute("aria-expanded", "false");
  expect([...chosen]).toEqual(["pooler"]);
  // A single tab stop, whatever is open.
  expect(screen.getAllByRole("treeitem").filter((item) => item.tabIndex === 0)).toHaveLength(1);
});

test("a click chooses the line", async () => {
  render(<Shown grouping="layer" />);
  await userEvent.click(screen.getByRole("treeitem", { name: /^Encoder layer 10/ }));
  expect(chosen.size).toBe(3);
});
