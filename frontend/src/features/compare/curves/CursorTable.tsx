import { Checkbox, Table, Text } from "@mantine/core";
import { useMemo } from "react";
import type { ComparedCurves } from "@/api/types";
import { useLook } from "@/charts/plot/look";
import { metric, missing } from "@/components/text/format";
import { type Group, groupLook, keyOf } from "@/features/compare/view/looks";
import type { CurveAxis } from "@/features/compare/view/view";
import { valueAt } from "./at-cursor";
import { type DrawnAxis, placeText } from "./curve-axis";

interface CursorTableProps {
  groups: readonly Group[];
  data: ComparedCurves;
  names: readonly string[];
  titleOf: (name: string) => string;
  /** Position in the API's unit; null: the end of each curve. */
  cursor: number | null;
  axis: CurveAxis;
  drawn: DrawnAxis;
  hidden: readonly string[];
  onHidden: (hidden: string[]) => void;
}

/** The legend of all charts: whose curve it is, its value under the cursor, and whether it is shown. */
export function CursorTable(props: CursorTableProps) {
  const { groups, data, names, titleOf, cursor, axis, drawn, hidden, onHidden } = props;
  const look = useLook();
  const byName = useMemo(
    () => new Map(data.curves.map((curve) => [`${curve.group} ${curve.name}`, curve])),
    [data],
  );
  const toggle = (key: string) =>
    onHidden(hidden.includes(key) ? hidden.filter((one) => one !== key) : [...hidden, key]);
  return (
    <Table.ScrollContainer minWidth={220 + 120 * names.length} mah={320} mt="sm" type="native" tabIndex={0}>
      <Table stickyHeader verticalSpacing={3} fz="xs" data-testid="cursor-table">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>
              <Text size="xs" c="dimmed" className="numbers" aria-live="off">
                {cursor === null
                  ? "At the end of each curve"
                  : `At ${placeText(axis, cursor / drawn.by, drawn)}`}
              </Text>
            </Table.Th>
            {names.map((name) => (
              <Table.Th key={name} ta="right">
                {titleOf(name)}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody className="numbers">
          {groups.map((group, index) => {
            const { colour, dash } = groupLook(look, index);
            const key = keyOf(group);
            const isHidden = hidden.includes(key);
            return (
              <Table.Tr key={key} opacity={isHidden ? 0.5 : 1}>
                <Table.Td maw={340}>
                  <Checkbox
                    size="xs"
                    checked={!isHidden}
                    onChange={() => toggle(key)}
                    label={
                      <span className="legend-name" title={group.name}>
                        <svg width="22" height="8" aria-hidden="true" style={{ flexShrink: 0 }}>
                          <line
                            x1="0"
                            x2="22"
                            y1="4"
                            y2="4"
                            stroke={colour}
                            strokeWidth="2.5"
                            strokeDasharray={dash === "solid" ? undefined : dash === "dash" ? "6 3" : "2 3"}
                          />
                        </svg>
                        <span className="clip">{group.name}</span>
                        {group.run_ids.length > 1 ? <span>×{group.run_ids.length}</span> : null}
                      </span>
                    }
                  />
                </Table.Td>
                {names.map((name) => {
                  const curve = byName.get(`${index} ${name}`);
                  const found = curve ? valueAt(curve, cursor) : null;
                  return (
                    <Table.Td key={name} ta="right">
                      {found === null ? missing : metric(found.value)}
                      {found && typeof found.sd === "number" ? (
                        <Text span inherit c="dimmed">
                          {" "}
                          ± {metric(found.sd)}
                        </Text>
                      ) : null}
                    </Table.Td>
                  );
                })}
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
