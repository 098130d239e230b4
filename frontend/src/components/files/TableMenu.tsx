import { ActionIcon, Menu } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { notifyError } from "@/components/feedback/toast";
import { loadPart } from "@/components/server/load-part";
import { fileName, saveFile } from "./save-file";

interface TableMenuProps {
  /** Accessible name, such as "Export results". */
  label: string;
  /** File name without extension. */
  file: string;
  rows: () => object[] | Promise<object[]>;
}

/** Exports a table as CSV or JSON. */
export function TableMenu({ label, file, rows }: TableMenuProps) {
  const save = async (ending: "csv" | "json") => {
    const { csvOf, jsonOf } = await loadPart(() => import("./tables"));
    const found = await rows();
    const text = ending === "csv" ? csvOf(found) : jsonOf(found);
    const type = ending === "csv" ? "text/csv" : "application/json";
    saveFile(`${fileName(file)}.${ending}`, new Blob([text], { type }));
  };
  const start = (ending: "csv" | "json") =>
    void save(ending).catch((error: unknown) => notifyError("Could not create the file", error));
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={24} title={label} aria-label={label}>
          <IconDownload size={15} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => start("csv")}>CSV</Menu.Item>
        <Menu.Item onClick={() => start("json")}>JSON</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
