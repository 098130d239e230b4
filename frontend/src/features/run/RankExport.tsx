import { ActionIcon, Button, Group, Menu, Modal, Progress, Text, Tooltip } from "@mantine/core";
import { IconCheck, IconDownload } from "@tabler/icons-react";
import { useRef, useState } from "react";
import type { Snapshot } from "@/api/snapshots";
import type { Figure } from "@/charts/figure";
import { darkLook, type Look, lightLook, useLook } from "@/charts/look";
import { count } from "@/components/format";
import { dataToBlob, fileName, saveFile } from "@/components/save-file";
import { toldError } from "@/components/toast";
import { filmFrames } from "./film-frames";
import { csvOf, jsonOf } from "./rank-rows";

const pictureWidth = 1000;

interface RankExportProps {
  /** Begins the names of the files. */
  name: string;
  snapshots: readonly Snapshot[];
  index: number;
  height: number;
  /** The heatmap of a snapshot with a title. */
  figureAt: (index: number, look: Look) => Figure;
  rows: () => object[];
  /** Stands beside the rows in JSON. */
  about: () => object;
}

/** Takes away what is seen: as a picture, as numbers, or all snapshots as a film. */
export function RankExport({ name, snapshots, index, height, figureAt, rows, about }: RankExportProps) {
  const look = useLook();
  const [background, setBackground] = useState<"light" | "dark" | null>(null);
  const isLight = background === null ? !look.isDark : background === "light";
  const chosen = isLight ? lightLook : darkLook;
  const [film, setFilm] = useState<{ done: number; total: number } | null>(null);
  const stop = useRef<AbortController>(undefined);
  const file = (ending: string) => `${fileName(`${name}-step-${snapshots[index]?.step ?? 0}`)}.${ending}`;

  const picture = async (format: "png" | "svg") => {
    const { figureImage } = await import("@/charts/figure-image");
    const size = { width: pictureWidth, height: height + 30, scale: format === "png" ? 2 : 1 };
    saveFile(file(format), dataToBlob(await figureImage(figureAt(index, chosen), format, chosen, size)));
  };
  const table = (ending: "csv" | "json") => {
    const text = ending === "csv" ? csvOf(rows()) : jsonOf({ ...about(), modules: rows() });
    saveFile(file(ending), new Blob([text], { type: ending === "csv" ? "text/csv" : "application/json" }));
  };
  const animation = async () => {
    const { filmOf } = await import("@/charts/film");
    const frames = filmFrames(snapshots);
    const control = new AbortController();
    stop.current = control;
    setFilm({ done: 0, total: frames.length });
    try {
      const made = await filmOf({
        count: frames.length,
        figureAt: (frame) => figureAt(frames[frame] ?? 0, chosen),
        look: chosen,
        width: 900,
        height: height + 30,
        delayMs: 160,
        onProgress: (done) => setFilm({ done, total: frames.length }),
        signal: control.signal,
      });
      saveFile(`${fileName(name)}.gif`, made);
    } catch (error) {
      if (!control.signal.aborted) throw error;
    } finally {
      setFilm(null);
    }
  };
  const tell = (work: Promise<void>) =>
    void work.catch((error: unknown) => toldError("The file could not be made", error));

  return (
    <>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Tooltip label="Save what is seen">
            <ActionIcon variant="default" size={30} aria-label="Save what is seen" data-testid="export-ranks">
              <IconDownload size={15} />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Picture</Menu.Label>
          <Menu.Item onClick={() => tell(picture("png"))}>PNG</Menu.Item>
          <Menu.Item onClick={() => tell(picture("svg"))}>SVG</Menu.Item>
          <Menu.Item onClick={() => tell(animation())} disabled={snapshots.length < 2}>
            GIF of all steps
          </Menu.Item>
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
          <Menu.Item onClick={() => table("csv")}>CSV</Menu.Item>
          <Menu.Item onClick={() => table("json")}>JSON</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={film !== null}
        onClose={() => stop.current?.abort()}
        title="Drawing the film"
        size="sm"
        centered
      >
        <Progress value={film ? (100 * film.done) / film.total : 0} aria-label="Pictures drawn" />
        <Group justify="space-between" mt="sm">
          <Text size="sm" className="numbers" role="status">
            {film ? `${count(film.done)} of ${count(film.total)} pictures` : "\u00a0"}
          </Text>
          <Button size="xs" variant="default" onClick={() => stop.current?.abort()} data-autofocus>
            Cancel
          </Button>
        </Group>
      </Modal>
    </>
  );
}
