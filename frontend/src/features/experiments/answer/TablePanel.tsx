import { Button, Menu, Table, Text, Tooltip } from "@mantine/core";
import { IconCopy, IconDownload } from "@tabler/icons-react";
import type { Answer, ExperimentCell, ExperimentDetail } from "@/api/types";
import { notify, notifyError } from "@/components/feedback/toast";
import { fileName, saveFile } from "@/components/files/save-file";
import { Panel } from "@/components/layout/Panel";
import { shortCount } from "@/components/text/format";
import { type Unit, unitOf, written } from "@/components/text/metric-unit";
import { tableText } from "@/features/experiments/view/queries";
import type { Selection } from "@/features/experiments/view/selection";

interface TablePanelProps {
  answer: Answer;
  experiment: ExperimentDetail;
  selection: Selection;
}

const forms = [
  { format: "latex", label: "LaTeX", ending: "tex" },
  { format: "markdown", label: "Markdown", ending: "md" },
  { format: "csv", label: "CSV", ending: "csv" },
] as const;
type Form = (typeof forms)[number];

/** Mean ± sd by variant, task and budget; the winner is bold where the spread allows it. */
export function TablePanel({ answer, experiment, selection }: TablePanelProps) {
  const unit = unitOf(experiment.design.metric);
  const columns = experiment.tasks.flatMap((task) =>
    experiment.budgets
      .filter((budget) => answer.cells.some((cell) => cell.task === task && cell.budget === budget))
      .map((budget) => ({ task, budget })),
  );
  const variants = experiment.design.variants
    .map((variant) => variant.name)
    .filter((name) => answer.cells.some((cell) => cell.variant === name));
  const find = (variant: string, task: string, budget: number) =>
    answer.cells.find((cell) => cell.variant === variant && cell.task === task && cell.budget === budget);
  const copy = async ({ format, label }: Form) => {
    await navigator.clipboard.writeText(await tableText(experiment.id, format, selection));
    notify(`Copied the table as ${label}.`);
  };
  const save = async ({ format, ending }: Form) => {
    const text = await tableText(experiment.id, format, selection);
    saveFile(`${fileName(experiment.name)}.${ending}`, new Blob([text], { type: "text/plain" }));
  };
  const act = (work: Promise<void>) =>
    void work.catch((error: unknown) => notifyError("Could not write the table", error));
  if (answer.cells.length === 0) return null;
  return (
    <Panel
      title="Table"
      note="Mean ± standard deviation over the seeds. Bold: better than the baseline after the correction, with about as many parameters, and the best of these in its column."
      actions={
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <Button variant="default" size="compact-sm" leftSection={<IconCopy size={14} />}>
              Copy or save
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {forms.map((form) => (
              <Menu.Item
                key={form.format}
                leftSection={<IconCopy size={14} />}
                onClick={() => act(copy(form))}
              >
                Copy as {form.label}
              </Menu.Item>
            ))}
            <Menu.Divider />
            {forms.map((form) => (
              <Menu.Item
                key={form.format}
                leftSection={<IconDownload size={14} />}
                onClick={() => act(save(form))}
              >
                Save as {form.label}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      }
    >
      <Table.ScrollContainer minWidth={200 + 110 * columns.length} type="native" tabIndex={0}>
        <Table className="numbers" style={{ whiteSpace: "nowrap" }} fz="sm" stickyHeader={false}>
          <Table.Thead>
            {experiment.tasks.length > 1 ? (
              <Table.Tr>
                <Table.Th />
                {experiment.tasks.map((task) => {
                  const width = columns.filter((column) => column.task === task).length;
                  return width ? (
                    <Table.Th key={task} colSpan={width} ta="center">
                      {task}
                    </Table.Th>
                  ) : null;
                })}
              </Table.Tr>
            ) : null}
            <Table.Tr>
              <Table.Th>{experiment.design.metric.title}</Table.Th>
              {columns.map(({ task, budget }) => (
                <Table.Th key={`${task} ${budget}`} ta="right">
                  rank {budget}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {variants.map((variant) => (
              <Table.Tr key={variant}>
                <Table.Td className="row-name">{variant}</Table.Td>
                {columns.map(({ task, budget }) => (
                  <Table.Td key={`${task} ${budget}`} ta="right">
                    <Value cell={find(variant, task, budget)} unit={unit} />
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Panel>
  );
}

function Value({ cell, unit }: { cell: ExperimentCell | undefined; unit: Unit }) {
  if (!cell || cell.mean === null)
    return (
      <Text span c="dimmed" inherit>
        –
      </Text>
    );
  const collapsed = cell.values.filter((one) => one.collapse).length;
  const facts = [
    `${cell.n} of ${cell.planned} trials`,
    `median ${written(cell.median, unit)}`,
    collapsed ? `${collapsed} collapsed, without: ${written(cell.mean_without_collapsed, unit)}` : null,
    cell.kept_parameters === null ? null : `${shortCount(cell.kept_parameters)} kept parameters`,
  ].filter((fact) => fact !== null);
  return (
    <Tooltip label={facts.join(" · ")} multiline maw={320} events={{ hover: true, focus: true, touch: true }}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the tooltip has more numbers, also for the keyboard */}
      <span tabIndex={0} style={{ fontWeight: cell.is_winner ? 700 : 400 }} data-winner={cell.is_winner}>
        {written(cell.mean, unit)}
        <Text span inherit c="dimmed" fw={400}>
          {cell.sd === null ? "" : ` ± ${written(cell.sd, unit)}`}
        </Text>
        {collapsed ? <sup title={`${collapsed} collapsed`}>†</sup> : null}
      </span>
    </Tooltip>
  );
}
