import { Group, List, Stack, Text } from "@mantine/core";
import type { Plan } from "@/api/types";
import { count } from "@/components/text/format";
import { SplitUse } from "./SplitUse";

/** The columns that a run reads, how its rows are split, and those that it excludes. */
export function DataUse({ plan }: { plan: Plan }) {
  const { data } = plan;
  return (
    <Stack gap={6} data-testid="data-use">
      <Fact name="Text from">{data.text_columns.join(", then ")}</Fact>
      {data.target_column ? <Fact name="Target from">{data.target_column}</Fact> : null}
      <SplitUse plan={plan} />
      {data.left_out.length ? (
        <div>
          <Text size="xs" c="dimmed">
            Left out
          </Text>
          <List size="sm" spacing={2}>
            {data.left_out.map((one) => (
              <List.Item key={one.reason}>
                {count(one.rows)} {one.rows === 1 ? "row" : "rows"}: {one.reason}
                {one.first_lines.length
                  ? ` (line ${one.first_lines.map(count).join(", ")}${one.rows > one.first_lines.length ? ", …" : ""})`
                  : ""}
              </List.Item>
            ))}
          </List>
        </div>
      ) : null}
    </Stack>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <Group gap="xs" wrap="nowrap" align="baseline">
      <Text size="xs" c="dimmed" w={76} style={{ flexShrink: 0 }}>
        {name}
      </Text>
      <Text size="sm" className="numbers" style={{ overflowWrap: "anywhere", minWidth: 0 }}>
        {children}
      </Text>
    </Group>
  );
}
