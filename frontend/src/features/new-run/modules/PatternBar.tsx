import { Button, Group, SegmentedControl, Text, TextInput, VisuallyHidden } from "@mantine/core";
import { useState } from "react";
import type { ModelModule } from "@/api/types";
import { count } from "@/components/text/format";
import { type PatternKind, testOf } from "./module-names";

interface PatternBarProps {
  modules: readonly ModelModule[];
  chosen: ReadonlySet<string>;
  onChange: (chosen: ReadonlySet<string>) => void;
}

const examples: Record<PatternKind, string> = {
  glob: "query, layer.[0-3].*, encoder.*.value",
  regex: "layer\\.(0|11)\\..*(query|value)$",
};

/** Chooses layers by a pattern of their names, and shows how many match while you type. */
export function PatternBar({ modules, chosen, onChange }: PatternBarProps) {
  const [kind, setKind] = useState<PatternKind>("glob");
  const [pattern, setPattern] = useState("");
  const wanted = pattern.trim();
  const test = wanted ? testOf(wanted, kind) : null;
  const names =
    typeof test === "function" ? modules.map((module) => module.name).filter((name) => test(name)) : [];
  const isIdle = names.length === 0;
  return (
    <div className="module-pattern">
      <TextInput
        size="xs"
        aria-label="Pattern of module names"
        placeholder={examples[kind]}
        value={pattern}
        onChange={(event) => setPattern(event.currentTarget.value)}
        maxLength={300}
        error={typeof test === "string" ? test : undefined}
        className="module-pattern-text"
        rightSection={
          wanted && typeof test === "function" ? (
            <Text size="xs" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
              {names.length} of {modules.length}
            </Text>
          ) : null
        }
        rightSectionWidth={84}
        rightSectionPointerEvents="none"
      />
      <SegmentedControl
        size="xs"
        aria-label="Kind of pattern"
        value={kind}
        onChange={(next) => setKind(next as PatternKind)}
        data={[
          { value: "glob", label: "Glob" },
          { value: "regex", label: "Regex" },
        ]}
      />
      <Group gap={6} wrap="nowrap" mih={30}>
        <Button
          size="compact-xs"
          variant="default"
          disabled={isIdle}
          onClick={() => onChange(new Set(names))}
        >
          Only these
        </Button>
        <Button
          size="compact-xs"
          variant="default"
          disabled={isIdle}
          onClick={() => onChange(new Set([...chosen, ...names]))}
        >
          Add
        </Button>
        <Button
          size="compact-xs"
          variant="default"
          disabled={isIdle}
          onClick={() => onChange(new Set([...chosen].filter((name) => !names.includes(name))))}
        >
          Remove
        </Button>
      </Group>
      <VisuallyHidden role="status">
        {wanted && typeof test === "function"
          ? `${count(names.length)} of ${count(modules.length)} match`
          : ""}
      </VisuallyHidden>
    </div>
  );
}
