import { ActionIcon, Button, Group, Menu, Text, TextInput, Tooltip } from "@mantine/core";
import { IconBookmark, IconDownload, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, unwrap } from "@/api/client";
import { notify, notifyError } from "@/components/feedback/toast";
import { type TableView, viewsQuery } from "@/features/runs/query/queries";
import { paramsOf } from "@/features/runs/query/view";
import { exportCsv } from "./export-csv";

interface ViewsMenuProps {
  view: TableView;
  onOpen: (query: string) => void;
}

/** Saved views of the table, and its export. */
export function ViewsMenu({ view, onOpen }: ViewsMenuProps) {
  const client = useQueryClient();
  const views = useQuery(viewsQuery);
  const [name, setName] = useState("");
  const refresh = () => client.invalidateQueries({ queryKey: viewsQuery.queryKey });
  const save = useMutation({
    mutationFn: () =>
      unwrap(http.POST("/api/v1/views", { body: { name: name.trim(), query: paramsOf(view).toString() } })),
    onSuccess: (saved) => {
      notify(`View ${saved.name} saved.`);
      setName("");
    },
    onError: (error) => notifyError("Could not save the view", error),
    onSettled: refresh,
  });
  const remove = useMutation({
    mutationFn: (view_id: string) =>
      unwrap(http.DELETE("/api/v1/views/{view_id}", { params: { path: { view_id } } })),
    onError: (error) => notifyError("Could not delete the view", error),
    onSettled: refresh,
  });
  const csv = useMutation({
    mutationFn: () => exportCsv(view),
    onError: (error) => notifyError("Could not export", error),
  });
  return (
    <Menu position="bottom-end" width={300} withinPortal closeOnItemClick={false}>
      <Menu.Target>
        <Tooltip label="Saved views and export">
          <ActionIcon variant="default" size={36} aria-label="Saved views and export" loading={csv.isPending}>
            <IconBookmark size={17} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Saved views</Menu.Label>
        {(views.data ?? []).map((each) => (
          <Group key={each.id} gap={4} wrap="nowrap">
            <Menu.Item closeMenuOnClick onClick={() => onOpen(each.query)} style={{ minWidth: 0 }}>
              <span className="clip" style={{ display: "block" }}>
                {each.name}
              </span>
            </Menu.Item>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`Delete view ${each.name}`}
              onClick={() => remove.mutate(each.id)}
            >
              <IconTrash size={14} />
            </ActionIcon>
          </Group>
        ))}
        {views.data?.length === 0 ? (
          <Text size="xs" c="dimmed" px="sm" pb={6}>
            None yet. A view keeps filter, order, columns and baseline.
          </Text>
        ) : null}
        <Group gap={6} px="sm" py={6} wrap="nowrap">
          <TextInput
            size="xs"
            aria-label="Name of the view"
            placeholder="Name of this view"
            value={name}
            maxLength={100}
            onChange={(event) => setName(event.currentTarget.value)}
            style={{ flex: 1 }}
          />
          <Button size="xs" disabled={!name.trim()} loading={save.isPending} onClick={() => save.mutate()}>
            Save
          </Button>
        </Group>
        <Menu.Divider />
        <Menu.Item leftSection={<IconDownload size={15} />} closeMenuOnClick onClick={() => csv.mutate()}>
          Export these runs as CSV
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
