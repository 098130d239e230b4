import { Table } from "@mantine/core";
import type { ExperimentVerdict } from "@/api/types";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { TrialsPlanPanel, type TrialsPlanPanelProps } from "@/features/new-run/trials/TrialsPlanPanel";

/** The plan of an experiment, with the runs of each variant. */
export function ExperimentPlanPanel(props: TrialsPlanPanelProps<NonNullable<ExperimentVerdict["plan"]>>) {
  const { plan } = props;
  return (
    <TrialsPlanPanel
      {...props}
      noun="experiment"
      size={plan ? plural(plan.trials, "run") : ""}
      note="If the best rate is at the edge of the range, more rates are tried for every method."
    >
      <Table.ScrollContainer minWidth={320} type="native" tabIndex={0}>
        <Table className="numbers" withRowBorders={false} verticalSpacing={3}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Variant</Table.Th>
              <Table.Th ta="right">To tune</Table.Th>
              <Table.Th ta="right">To test</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {plan?.items.map((item) => (
              <Table.Tr key={item.variant}>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{item.variant}</Table.Td>
                <Table.Td ta="right">{item.tuning ? count(item.tuning) : ""}</Table.Td>
                <Table.Td ta="right">{count(item.test)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </TrialsPlanPanel>
  );
}
