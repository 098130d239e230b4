import { ActionIcon, Menu } from "@mantine/core";
import { IconDots, IconExternalLink, IconScale, IconSeeding } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { Link } from "react-router";
import { controlsQuery } from "@/api/queries";
import type { Comparison } from "@/api/types";
import { methodCalled, useMethods } from "@/components/runs/methods";
import { lazyPart } from "@/components/server/load-part";
import { type Group, keyOf } from "@/features/compare/view/looks";

const SeedsDialog = lazyPart(
  () => import("./SeedsDialog"),
  (part) => part.SeedsDialog,
);

/** What can be launched to make the comparison fair: simpler methods at the same budget, and other seeds. */
export function GroupMenu({ group, comparison }: { group: Group; comparison: Comparison }) {
  const methods = useMethods();
  const [isOpen, setOpen] = useState(false);
  const [isSeeding, setSeeding] = useState(false);
  const run = comparison.runs.find((one) => one.id === keyOf(group));
  const hasControls = run?.artifact === "adapter" && methodCalled(run.method, methods).has_ranks;
  const controls = useQuery({ ...controlsQuery(keyOf(group)), enabled: isOpen && hasControls });
  if (!run) return null;
  return (
    <>
      <Menu position="bottom-end" width={290} withinPortal opened={isOpen} onChange={setOpen}>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size={24} aria-label={`Actions for ${group.name}`}>
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item component={Link} to={`/runs/${run.id}`} leftSection={<IconExternalLink size={15} />}>
            Open {group.run_ids.length > 1 ? "the first run" : "the run"}
          </Menu.Item>
          <Menu.Divider />
          <Menu.Label>Launch for comparison</Menu.Label>
          {(controls.data ?? []).map((control) => (
            <Menu.Item
              key={control.key}
              component={Link}
              to={`/new?from=${run.id}&as=${control.key}`}
              leftSection={<IconScale size={15} />}
              title={control.description}
              data-testid={`launch-${control.key}`}
            >
              {control.title}
            </Menu.Item>
          ))}
          {controls.error ? (
            <Menu.Item disabled leftSection={<IconScale size={15} />}>
              LoRA at this budget: the run's result is not here
            </Menu.Item>
          ) : null}
          {!hasControls && (
            <Menu.Item disabled leftSection={<IconScale size={15} />}>
              LoRA at this budget: once the run has an adapter
            </Menu.Item>
          )}
          <Menu.Item
            leftSection={<IconSeeding size={15} />}
            onClick={() => setSeeding(true)}
            data-testid="other-seeds"
          >
            Other seeds…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {isSeeding && (
        <Suspense>
          <SeedsDialog group={group} onClose={() => setSeeding(false)} />
        </Suspense>
      )}
    </>
  );
}
