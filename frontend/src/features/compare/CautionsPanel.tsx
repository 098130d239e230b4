import { Alert, Anchor, Stack, Table, Text } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import { useState } from "react";
import type { Caution, Comparison } from "@/api/types";

/** Why a difference may not come from the methods. */
const grave: readonly Caution["kind"][] = ["task", "model", "data", "split", "evaluation"];

/** Why a difference between these runs may not be due to their methods. */
export function CautionsPanel({ comparison }: { comparison: Comparison }) {
  const { cautions, runs } = comparison;
  if (cautions.length === 0) return null;
  return (
    <Stack gap="xs">
      {cautions.map((caution) => (
        <CautionAlert key={caution.kind} caution={caution} names={runs.map((run) => run.name)} />
      ))}
    </Stack>
  );
}

function CautionAlert({ caution, names }: { caution: Caution; names: readonly string[] }) {
  const [isOpen, setOpen] = useState(false);
  const isGrave = grave.includes(caution.kind);
  const kinds = new Map<string, string[]>();
  caution.values.forEach((value, index) => {
    kinds.set(value, [...(kinds.get(value) ?? []), names[index] ?? ""]);
  });
  return (
    <Alert
      color={isGrave ? "orange" : "yellow"}
      variant="light"
      py="xs"
      icon={isGrave ? <IconAlertTriangle size={18} /> : <IconInfoCircle size={18} />}
      title={caution.title}
      data-testid={`${caution.kind}-note`}
    >
      <Text size="sm">
        {caution.detail} {caution.next_step}{" "}
        <Anchor
          component="button"
          type="button"
          size="sm"
          onClick={() => setOpen(!isOpen)}
          aria-expanded={isOpen}
        >
          {isOpen ? "Hide" : "Which runs"}
        </Anchor>
      </Text>
      {isOpen && (
        <Table mt={4} fz="xs" verticalSpacing={3}>
          <Table.Tbody>
            {[...kinds].map(([value, of]) => (
              <Table.Tr key={value}>
                <Table.Td style={{ verticalAlign: "top", overflowWrap: "anywhere" }} w="40%">
                  {value || "not set"}
                </Table.Td>
                <Table.Td c="dimmed">{of.join(" · ")}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Alert>
  );
}
