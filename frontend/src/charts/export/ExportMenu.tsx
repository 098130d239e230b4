import { ActionIcon, Menu } from "@mantine/core";
import { IconCheck, IconDownload } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { type Figure, titled } from "@/charts/plot/figure";
import { darkLook, type Look, lightLook, useLook } from "@/charts/plot/look";
import { notifyError } from "@/components/feedback/toast";
import { dataToBlob, fileName, saveFile } from "@/components/files/save-file";
import { loadPart } from "@/components/server/load-part";

const pictureWidth = 1000;

interface ExportMenuProps {
  /** What is saved, for whoever does not see the chart beside it. */
  label: string;
  /** Names the files, without their ending. */
  file: string;
  /** Pixels of the chart, if its height says something; left out: half as high as it is wide. */
  height?: number;
  figureOf: (look: Look) => Figure;
  /** Over the picture of a chart that has no title of its own. */
  title?: string;
  /** The numbers; left out: those that are drawn. */
  rows?: () => object[] | Promise<object[]>;
  /** What JSON holds; left out: the rows. */
  jsonOfRows?: (rows: object[]) => object;
  /** More to take away, drawn in the look that is chosen. */
  more?: (look: Look) => ReactNode;
  testId?: string;
  variant?: "default" | "subtle";
}

/** Takes a chart away: as a picture on a light or dark ground, or as its numbers. */
export function ExportMenu(props: ExportMenuProps) {
  const { label, figureOf, more, variant = "subtle" } = props;
  const look = useLook();
  const [background, setBackground] = useState<"light" | "dark" | null>(null);
  const isLight = background === null ? !look.isDark : background === "light";
  const chosen = isLight ? lightLook : darkLook;
  const file = (ending: string) => `${fileName(props.file)}.${ending}`;

  const picture = async (format: "png" | "svg") => {
    const { figureImage } = await loadPart(() => import("./figure-image"));
    const figure = props.title ? titled(figureOf(chosen), props.title, chosen) : figureOf(chosen);
    const size = {
      width: pictureWidth,
      height: 30 + (props.height ?? pictureWidth / 2),
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
  const tell = (work: Promise<void>) =>
    void work.catch((error: unknown) => notifyError("The file could not be made", error));

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
        <Menu.Label>Picture</Menu.Label>
        <Menu.Item onClick={() => tell(picture("png"))}>PNG</Menu.Item>
        <Menu.Item onClick={() => tell(picture("svg"))}>SVG</Menu.Item>
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
        <Menu.Item onClick={() => tell(table("csv"))}>CSV</Menu.Item>
        <Menu.Item onClick={() => tell(table("json"))}>JSON</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
