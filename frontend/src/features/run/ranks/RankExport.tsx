import { Button, Group, Menu, Modal, Progress, Text } from "@mantine/core";
import { useRef, useState } from "react";
import type { Snapshot } from "@/api/snapshots";
import { ExportMenu } from "@/charts/export/ExportMenu";
import type { Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";
import { notifyError } from "@/components/feedback/toast";
import { fileName, saveFile } from "@/components/files/save-file";
import { loadPart } from "@/components/server/load-part";
import { count } from "@/components/text/format";
import { gifFrames } from "./gif-frames";

interface RankExportProps {
  /** Start of the file names. */
  name: string;
  snapshots: readonly Snapshot[];
  index: number;
  height: number;
  /** The heatmap of a snapshot with a title. */
  figureAt: (index: number, look: Look) => Figure;
  rows: () => object[];
  /** Further fields of the JSON file. */
  about: () => object;
}

/** Exports the heatmap as an image, as numbers, or all snapshots as a GIF. */
export function RankExport({ name, snapshots, index, height, figureAt, rows, about }: RankExportProps) {
  const [gif, setGif] = useState<{ done: number; total: number } | null>(null);
  const stop = useRef<AbortController>(undefined);

  const animation = async (look: Look) => {
    const { gifOf } = await loadPart(() => import("@/charts/export/gif"));
    const frames = gifFrames(snapshots);
    const control = new AbortController();
    stop.current = control;
    setGif({ done: 0, total: frames.length });
    try {
      const made = await gifOf({
        count: frames.length,
        figureAt: (frame) => figureAt(frames[frame] ?? 0, look),
        look,
        width: 900,
        height: height + 30,
        delayMs: 160,
        onProgress: (done) => setGif({ done, total: frames.length }),
        signal: control.signal,
      });
      saveFile(`${fileName(name)}.gif`, made);
    } catch (error) {
      if (!control.signal.aborted) notifyError("Could not create the GIF", error);
    } finally {
      setGif(null);
    }
  };

  return (
    <>
      <ExportMenu
        label="Export heatmap"
        file={`${name}-step-${snapshots[index]?.step ?? 0}`}
        height={height}
        figureOf={(look) => figureAt(index, look)}
        rows={rows}
        jsonOfRows={(modules) => ({ ...about(), modules })}
        more={(look) => (
          <Menu.Item onClick={() => void animation(look)} disabled={snapshots.length < 2}>
            GIF of all steps
          </Menu.Item>
        )}
        testId="export-ranks"
        variant="default"
      />
      <Modal
        opened={gif !== null}
        onClose={() => stop.current?.abort()}
        title="Creating the GIF"
        size="sm"
        centered
      >
        <Progress value={gif ? (100 * gif.done) / gif.total : 0} aria-label="Frames drawn" />
        <Group justify="space-between" mt="sm">
          <Text size="sm" className="numbers" role="status">
            {gif ? `${count(gif.done)} of ${count(gif.total)} frames` : "\u00a0"}
          </Text>
          <Button size="xs" variant="default" onClick={() => stop.current?.abort()} data-autofocus>
            Cancel
          </Button>
        </Group>
      </Modal>
    </>
  );
}
