import { Grid, Table } from "@mantine/core";
import { stringify } from "yaml";
import { namesFirst } from "@/api/config";
import type { RunDetail } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { ApiText } from "@/components/text/ApiText";
import { CopyTextButton } from "@/components/text/CopyTextButton";
import { configValue } from "@/components/text/format";

export default function ConfigTab({ run }: { run: RunDetail }) {
  const yaml = stringify(namesFirst(run.config));
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Panel
          title="Config"
          note={<ApiText>Complete, with all defaults. `rankscope launch` accepts this file.</ApiText>}
          actions={<CopyTextButton text={yaml} label="Copy YAML" />}
        >
          <pre className="log">{yaml}</pre>
        </Panel>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <Panel title="Environment" note="Versions and hardware that the run was trained with.">
          <Table>
            <Table.Tbody>
              {environmentRows(run.environment).map(([name, value]) => (
                <Table.Tr key={name}>
                  <Table.Th scope="row" fw={500} c="dimmed">
                    {name}
                  </Table.Th>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>{configValue(value)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Panel>
      </Grid.Col>
    </Grid>
  );
}

/** `trained_with` is a nested record: one row per entry. */
function environmentRows(environment: RunDetail["environment"]): [string, unknown][] {
  return Object.entries(environment).flatMap(([name, value]): [string, unknown][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([key, inner]) => [`${name}.${key}`, inner])
      : [[name, value]],
  );
}
