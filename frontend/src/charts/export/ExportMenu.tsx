import { ActionIcon, Menu } from "@mantine/core";
import { IconCheck, IconDownload } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { type Figure, titled } from "@/charts/plot/figure";
import { darkLook, type Look, lightLook, useLook } from "@/charts/plot/look";
import { notifyError } from "@/components/feedback/toast";
import { dataToBlob, fileName, saveFile } from "@/components/files/save-file";
import { loadPart } from "@/components/server/load-part";

const imageWidth = 1000;

interface ExportMenuProps {
  /** Accessible name, such as "Export train loss". */
  label: string;
  /** File name without extension. */
  file: string;
  /** Height of the chart in pixels, if it matters; omitted: half the width. */
  height?: number;
  figureOf: (look: Look) => Figure;
  /** Title of the image, for a chart without one. */
  title?: string;
  /** The numbers; omitted: those that are drawn. */
  rows?: () => object[] | Promise<object[]>;
  /** Content of the JSON file; omitted: the rows. */
  jsonOfRows?: (rows: object[]) => object;
  /** More menu items, given the chosen look. */
  more?: (look: Look) => ReactNode;
  testId?: string;
  variant?: "default" | "subtle";
}

/** Exports a chart as an image on a light or dark background, or as its numbers. */
export function ExportMenu(props: ExportMenuProps) {
  const { label, figureOf, more, variant = "subtle" } = props;
  const look = useLook();
  const [background, setBackground] = useState<"light" | "dark" | null>(null);
  const isLight = background === null ? !look.isDark : background === "light";
  const chosen = isLight ? lightLook : darkLook;
  const file = (ending: string) => `${fileName(props.file)}.${ending}`;

  const image = async (format: "png" | "svg") => {
    const { figureImage } = await loadPart(() => import("./figure-image"));
    const figure = props.title ? titled(figureOf(chosen), props.title, chosen) : figureOf(chosen);
    const size = {
      width: imageWidth,
      height: 30 + (props.height ?? imageWidth / 2),
      scale: format === "png" ? 2 : 1,
    };
    saveFile(file(format), dataToBlob(await figureImage(figure, format, chosen, size)));
  };
  const table = async (ending: "csv" | "json") => {
    const [{ csvOf, jsonOf }, { drawnRows }] = await Promise.all([
      loadPart(() => import("@/components/files/tables")),
      loadPart(() => import("./drawn-rows")),
    ]);
    const rows = await (props.rows ?? (() => drawnRows(figureOf(chosen))))();
    const text = ending === "csv" ? csvOf(rows) : jsonOf(props.jsonOfRows?.(rows) ?? rows);
    saveFile(file(ending), new Blob([text], { type: ending === "csv" ? "text/csv" : "application/json" }));
  };
  const report = (work: Promise<void>) =>
    void work.catch((error: unknown) => notifyError("Could not create the file", error));

  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon
          variant={variant}
          color={variant === "subtle" ? "gray" : undefined}
          size={variant === "subtle" ? 24 : 30}
          title={label}
          aria-label={label}
          data-testid={props.testId}
        >
          <IconDownload size={15} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Image</Menu.Label>
        <Menu.Item onClick={() => report(image("png"))}>PNG</Menu.Item>
        <Menu.Item onClick={() => report(image("svg"))}>SVG</Menu.Item>
        {more?.(chosen)}
        <Menu.Item
          closeMenuOnClick={false}
          role="menuitemcheckbox"
          aria-checked={isLight}
          onClick={() => setBackground(isLight ? "dark" : "light")}
          leftSection={<IconCheck size={14} style={{ visibility: isLight ? "visible" : "hidden" }} />}
        >
          Light background
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>Numbers</Menu.Label>
        <Menu.Item onClick={() => report(table("csv"))}>CSV</Menu.Item>
        <Menu.Item onClick={() => report(table("json"))}>JSON</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
