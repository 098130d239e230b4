import { Button, Collapse, Group, Input, SegmentedControl, Skeleton, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import type { ModelModule } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import type { FieldInputProps } from "@/features/new-run/form/FieldInput";
import { ModuleTree } from "./ModuleTree";
import { chosenBy, namesOf, unknownNames } from "./module-names";
import { added, type Grouping, groupsOf } from "./module-tree";
import { PatternBar } from "./PatternBar";
import { modulesQuery } from "./queries";
import "./modules.css";

interface ModuleFieldProps extends FieldInputProps {
  model: string;
  /** Rank of every module at the start; null while it is unknown. */
  rank: number | null;
  hasScales: boolean;
}

const mostNamed = 4;

/** The layers that are adapted: those that the model proposes, or a choice from the tree of its layers. */
export function ModuleField({
  field,
  value,
  onChange,
  error,
  isChanged,
  model,
  rank,
  hasScales,
}: ModuleFieldProps) {
  const [isOpen, setOpen] = useState(false);
  const [grouping, setGrouping] = useState<Grouping>("kind");
  const modules = useQuery({ ...modulesQuery(model), enabled: model !== "" });
  const id = useId();
  const names = Array.isArray(value) ? value.map(String) : null;
  const known = modules.data ?? [];
  const chosen = chosenBy(names, known);
  const lost = known.length ? unknownNames(names ?? [], known) : [];
  const choose = (next: ReadonlySet<string>) => onChange(namesOf(next, known));
  return (
    <Input.Wrapper
      label={field.title}
      labelElement="div"
      description="The linear layers to adapt. The proposal is all of them in the model's blocks."
      error={error}
      inputWrapperOrder={["label", "input", "error", "description"]}
      className={isChanged ? "field field-changed" : "field"}
      style={{ gridColumn: "1 / -1" }}
      data-field={field.path}
    >
      <div className="module-field" data-wrong={error !== undefined || undefined}>
        <Group justify="space-between" gap="xs" wrap="nowrap" align="flex-start">
          <Summary names={names} chosen={chosen} modules={known} rank={rank} hasScales={hasScales} />
          <Group gap={6} wrap="nowrap">
            {names ? (
              <Button size="compact-sm" variant="subtle" color="gray" onClick={() => onChange(null)}>
                Reset
              </Button>
            ) : null}
            <Button
              size="compact-sm"
              variant="default"
              aria-expanded={isOpen}
              aria-controls={id}
              disabled={model === ""}
              onClick={() => setOpen(!isOpen)}
            >
              {isOpen ? "Close" : "Choose"}
            </Button>
          </Group>
        </Group>
        {lost.length ? (
          <Group gap="xs" mt={4}>
            <Text size="xs" className="option-problem" style={{ overflowWrap: "anywhere" }}>
              Not in this model: {lost.join(", ")}
            </Text>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => {
                const left = (names ?? []).filter((name) => !lost.includes(name));
                onChange(left.length ? left : null);
              }}
            >
              Remove
            </Button>
          </Group>
        ) : null}
        <Collapse expanded={isOpen} id={id}>
          {!isOpen ? null : modules.error ? (
            <ErrorState error={modules.error} onRetry={() => void modules.refetch()} />
          ) : modules.isPending ? (
            <Skeleton height={200} mt="xs" />
          ) : (
            <Stack gap={8} mt="xs">
              <PatternBar modules={known} chosen={chosen} onChange={choose} />
              <Group justify="space-between" gap="xs">
                <SegmentedControl
                  size="xs"
                  aria-label="Group modules"
                  value={grouping}
                  onChange={(next) => setGrouping(next as Grouping)}
                  data={[
                    { value: "kind", label: "By kind" },
                    { value: "layer", label: "By layer" },
                  ]}
                />
                <Text size="xs" c="dimmed">
                  {rank ? `Parameters at rank ${rank}` : ""}
                </Text>
              </Group>
              <ModuleTree
                key={grouping}
                groups={groupsOf(known, grouping)}
                chosen={chosen}
                onChange={choose}
                addedBy={({ module }) => (rank ? added(module, rank, hasScales) : null)}
              />
            </Stack>
          )}
        </Collapse>
      </div>
    </Input.Wrapper>
  );
}

interface SummaryProps {
  names: string[] | null;
  chosen: ReadonlySet<string>;
  modules: readonly ModelModule[];
  rank: number | null;
  hasScales: boolean;
}

function Summary({ names, chosen, modules, rank, hasScales }: SummaryProps) {
  const sum = modules
    .filter((module) => chosen.has(module.name))
    .reduce((total, module) => total + (rank ? added(module, rank, hasScales) : 0), 0);
  const size = sum ? ` · +${count(sum)} parameters` : "";
  const named = names?.slice(0, mostNamed).join(", ");
  const more = (names?.length ?? 0) - mostNamed;
  return (
    <div style={{ minWidth: 0 }} role="status">
      <Text size="sm" className="numbers" data-testid="module-summary">
        {modules.length === 0
          ? names
            ? plural(names.length, "name")
            : "All linear layers in the blocks"
          : `${names ? "" : "All "}${plural(chosen.size, "module")}${names ? ` of ${count(modules.length)}` : " in the blocks"}${size}`}
      </Text>
      {names?.length ? (
        <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
          {named}
          {more > 0 ? `, ${count(more)} more` : ""}
        </Text>
      ) : null}
    </div>
  );
}
