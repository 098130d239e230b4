import { Table, Text } from "@mantine/core";
import { Link } from "react-router";
import type { VariantComparison } from "@/api/types";
import { pText, signedText, type Unit, written } from "@/features/experiments/view/units";

/** The numbers behind a sentence: each seed with its runs, and the tests. */
export function Evidence({ comparison, unit }: { comparison: VariantComparison; unit: Unit }) {
  const { difference, pairs, variant, reference } = comparison;
  const { interval, bootstrap } = difference;
  const facts = [
    `median ${signedText(difference.median, unit)}`,
    `sd ${written(difference.sd, unit)}`,
    `p = ${pText(difference.p)}, corrected ${pText(difference.p_corrected)}`,
    interval ? `95 % interval ${signedText(interval.low, unit)} to ${signedText(interval.high, unit)}` : null,
    bootstrap
      ? `over seeds and rows ${signedText(bootstrap.low, unit)} to ${signedText(bootstrap.high, unit)}`
      : null,
    `equivalence p = ${pText(difference.equivalence_p)}`,
    comparison.parameter_ratio === null
      ? null
      : `${comparison.parameter_ratio.toFixed(2)} × the kept parameters`,
  ].filter((fact) => fact !== null);
  return (
    <div className="evidence">
      <Text size="xs" c="dimmed" className="numbers">
        {facts.join(" · ")}
      </Text>
      <Table.ScrollContainer minWidth={360}>
        <Table className="numbers" withRowBorders={false} verticalSpacing={2} fz="xs" maw={640}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Seed</Table.Th>
              <Table.Th ta="right">{variant}</Table.Th>
              <Table.Th ta="right">{reference}</Table.Th>
              <Table.Th ta="right">Difference</Table.Th>
              <Table.Th />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {pairs.map((pair) => (
              <Table.Tr key={pair.seed}>
                <Table.Td>{pair.seed}</Table.Td>
                <Table.Td ta="right">
                  <RunLink run={pair.run_id}>{written(pair.value, unit)}</RunLink>
                </Table.Td>
                <Table.Td ta="right">
                  <RunLink run={pair.reference_run_id}>{written(pair.reference_value, unit)}</RunLink>
                </Table.Td>
                <Table.Td ta="right">
                  {pair.value === null || pair.reference_value === null
                    ? "–"
                    : signedText(pair.value - pair.reference_value, unit)}
                </Table.Td>
                <Table.Td>{pair.collapsed ? "collapsed" : ""}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </div>
  );
}

function RunLink({ run, children }: { run: string | null; children: string }) {
  return run ? <Link to={`/runs/${run}`}>{children}</Link> : children;
}
