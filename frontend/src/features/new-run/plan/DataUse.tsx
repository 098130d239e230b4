import { Group, List, Stack, Text } from "@mantine/core";
import type { DataPlan } from "@/api/types";
import { count } from "@/components/text/format";

const shownClasses = 8;

/** The columns that a run reads, the classes it learns and the rows it excludes. */
export function DataUse({ data }: { data: DataPlan }) {
  const more = data.n_classes - Math.min(shownClasses, data.classes.length);
  return (
    <Stack gap={6} data-testid="data-use">
      <Fact name="Text from">{data.text_columns.join(", then ")}</Fact>
      {data.target_column ? <Fact name="Target from">{data.target_column}</Fact> : null}
      {data.group_column ? <Fact name="Split by">{data.group_column}</Fact> : null}
      {data.n_classes ? (
        <Fact name={data.n_classes === 1 ? "1 class" : `${count(data.n_classes)} classes`}>
          {data.classes
            .slice(0, shownClasses)
            .map((one) => `${one.label} ${count(one.train_rows)} + ${count(one.eval_rows)}`)
            .join(" · ")}
          {more > 0 ? ` · ${count(more)} more` : ""}
          <Text span size="xs" c="dimmed">
            {" "}
            (training + evaluation rows)
          </Text>
        </Fact>
      ) : null}
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
