import { Anchor, Table, Text } from "@mantine/core";
import { Link } from "react-router";
import type { Collapse, VariantComparison } from "@/api/types";
import { pText, signedText, type Unit, written } from "@/components/text/metric-unit";
import { collapseText } from "@/features/experiments/view/collapse";

/** The numbers behind a sentence: each seed with its runs, and the tests. */
export function Evidence({ comparison, unit }: { comparison: VariantComparison; unit: Unit }) {
  const { difference, pairs, variant, reference } = comparison;
  const { interval, bootstrap, p, equivalence_p } = difference;
  const facts = [
    difference.median === null ? null : `median ${signedText(difference.median, unit)}`,
    difference.sd === null ? null : `sd ${written(difference.sd, unit)}`,
    p === null ? null : `p ${equals(p)}, corrected ${equals(difference.p_corrected)}`,
    interval ? `95 % interval ${signedText(interval.low, unit)} to ${signedText(interval.high, unit)}` : null,
    bootstrap
      ? `over seeds and rows ${signedText(bootstrap.low, unit)} to ${signedText(bootstrap.high, unit)}`
      : null,
    equivalence_p === null ? null : `equivalence p ${equals(equivalence_p)}`,
    p === null ? "no test" : null,
    comparison.parameter_ratio === null
      ? null
      : `${comparison.parameter_ratio.toFixed(2)} × the kept parameters`,
  ].filter((fact) => fact !== null);
  return (
    <div className="evidence">
      <Text size="xs" c="dimmed" className="numbers">
        {facts.join(" · ")}
      </Text>
      <Table.ScrollContainer minWidth={360} type="native" tabIndex={0}>
        <Table className="numbers" withRowBorders={false} verticalSpacing={2} fz="xs" maw={640}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Seed</Table.Th>
              <Table.Th ta="right">{variant}</Table.Th>
              <Table.Th ta="right">{reference}</Table.Th>
              <Table.Th ta="right">Difference</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {pairs.map((pair) => (
              <Table.Tr key={pair.seed}>
                <Table.Td>{pair.seed}</Table.Td>
                <Table.Td ta="right">
                  <Value run={pair.run_id} collapse={pair.collapse}>
                    {written(pair.value, unit)}
                  </Value>
                </Table.Td>
                <Table.Td ta="right">
                  <Value run={pair.reference_run_id} collapse={pair.reference_collapse}>
                    {written(pair.reference_value, unit)}
                  </Value>
                </Table.Td>
                <Table.Td ta="right">
                  {pair.value === null || pair.reference_value === null
                    ? "–"
                    : signedText(pair.value - pair.reference_value, unit)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </div>
  );
}

/** "= 0.013" or "< 0.0001" */
const equals = (p: number | null): string => (p !== null && p < 0.0001 ? pText(p) : `= ${pText(p)}`);

interface ValueProps {
  run: string | null;
  collapse: Collapse | null;
  children: string;
}

/** The result of one trial, as a link to its run, with a mark if it collapsed. */
function Value({ run, collapse, children }: ValueProps) {
  return (
    <>
      {collapse ? <span className="collapsed-word">{collapseText[collapse]} </span> : null}
      {run ? (
        <Anchor component={Link} to={`/runs/${run}`} inherit>
          {children}
        </Anchor>
      ) : (
        children
      )}
    </>
  );
}
