import { Checkbox, Text, VisuallyHidden } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { count } from "@/components/text/format";
import type { Group, Leaf } from "./module-tree";

interface ModuleTreeProps {
  groups: readonly Group[];
  chosen: ReadonlySet<string>;
  onChange: (chosen: ReadonlySet<string>) => void;
  /** Parameters that the layer adds; null while the rank is unknown. */
  addedBy: (leaf: Leaf) => number | null;
}

/** A line of the tree: a group, or a layer in an open group. */
interface Line {
  id: string;
  group: Group;
  leaf: Leaf | null;
  place: number;
  siblings: number;
}

/** Layers to choose, as a tree: arrow keys move, open and close; space chooses. */
export function ModuleTree({ groups, chosen, onChange, addedBy }: ModuleTreeProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState("");
  const items = useRef(new Map<string, HTMLDivElement>());
  const lines = groups.flatMap((group, index) => linesOf(group, index, groups.length, open));
  const active = lines.some((line) => line.id === current) ? current : (lines[0]?.id ?? "");

  const focus = (line: Line | undefined) => {
    if (!line) return;
    setCurrent(line.id);
    items.current.get(line.id)?.focus();
  };
  const show = (group: Group, isOpen: boolean) => {
    const next = new Set(open);
    if (isOpen) next.add(group.key);
    else next.delete(group.key);
    setOpen(next);
  };
  const toggle = (line: Line) => {
    const names = namesIn(line);
    const isOn = names.every((name) => chosen.has(name));
    const next = new Set(chosen);
    for (const name of names) {
      if (isOn) next.delete(name);
      else next.add(name);
    }
    onChange(next);
  };
  const onKeyDown = (event: KeyboardEvent, line: Line, index: number) => {
    const { group, leaf } = line;
    const isOpen = open.has(group.key);
    const moves: Record<string, () => void> = {
      ArrowDown: () => focus(lines[index + 1]),
      ArrowUp: () => focus(lines[index - 1]),
      Home: () => focus(lines[0]),
      End: () => focus(lines.at(-1)),
      ArrowRight: () => (leaf ? undefined : isOpen ? focus(lines[index + 1]) : show(group, true)),
      ArrowLeft: () =>
        leaf ? focus(lines.find((one) => one.id === group.key)) : isOpen ? show(group, false) : undefined,
      " ": () => toggle(line),
      Enter: () => toggle(line),
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move();
  };

  return (
    <div role="tree" aria-label="Target modules" aria-multiselectable className="module-tree">
      {lines.map((line, index) => {
        const { id, group, leaf, place, siblings } = line;
        const names = namesIn(line);
        const on = names.filter((name) => chosen.has(name)).length;
        const isSome = on > 0 && on < names.length;
        const parts = leaf ? [leaf] : group.leaves;
        const sizes = parts.map(addedBy);
        const sum = sizes.some((size) => size === null)
          ? null
          : sizes.reduce<number>((total, size) => total + (size ?? 0), 0);
        return (
          <div
            key={id}
            ref={(element) => {
              if (element) items.current.set(id, element);
              else items.current.delete(id);
            }}
            role="treeitem"
            tabIndex={id === active ? 0 : -1}
            aria-level={leaf ? 2 : 1}
            aria-posinset={place + 1}
            aria-setsize={siblings}
            aria-checked={isSome ? "mixed" : on > 0}
            aria-expanded={leaf ? undefined : open.has(group.key)}
            className="module-line"
            onClick={() => {
              focus(line);
              toggle(line);
            }}
            onKeyDown={(event) => onKeyDown(event, line, index)}
          >
            {leaf ? (
              <span className="module-opener" />
            ) : (
              // Only for the mouse: keys are handled by the line.
              <span
                className="module-opener"
                aria-hidden
                onClick={(event) => {
                  event.stopPropagation();
                  focus(line);
                  show(group, !open.has(group.key));
                }}
              >
                <IconChevronRight
                  size={15}
                  style={{ transform: open.has(group.key) ? "rotate(90deg)" : undefined }}
                />
              </span>
            )}
            <Checkbox.Indicator size="xs" checked={on > 0 && !isSome} indeterminate={isSome} aria-hidden />
            <span className="module-name" title={leaf?.module.name}>
              {leaf ? leaf.label : group.label}
            </span>{" "}
            <Text span size="xs" c="dimmed" className="numbers module-note">
              {leaf ? `${leaf.module.out_features} x ${leaf.module.in_features}` : `${on} of ${names.length}`}
              {leaf ? null : (
                <>
                  {" "}
                  <VisuallyHidden>chosen</VisuallyHidden>
                </>
              )}
            </Text>{" "}
            <span className="numbers module-added">
              {sum === null ? null : (
                <>
                  +{count(sum)} <VisuallyHidden>parameters</VisuallyHidden>
                </>
              )}
            </span>
          </div>
        );
      })}
    </div>
  );
}

function linesOf(group: Group, place: number, siblings: number, open: ReadonlySet<string>): Line[] {
  const line = { id: group.key, group, leaf: null, place, siblings };
  if (!open.has(group.key)) return [line];
  const leaves = group.leaves.map((leaf, index) => ({
    id: `${group.key}/${leaf.module.name}`,
    group,
    leaf,
    place: index,
    siblings: group.leaves.length,
  }));
  return [line, ...leaves];
}

const namesIn = ({ group, leaf }: Line): string[] =>
  leaf ? [leaf.module.name] : group.leaves.map((one) => one.module.name);
