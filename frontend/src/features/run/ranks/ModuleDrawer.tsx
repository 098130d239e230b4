import { Drawer, Group, ScrollArea, SegmentedControl, Skeleton, Stack, Text } from "@mantine/core";
import { useMediaQuery, useThrottledValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { LedgerLine, Module, RunStatus } from "@/api/types";
import { ExportMenu } from "@/charts/export/ExportMenu";
import { laneRows, lanesFigure, lanesHeight } from "@/charts/figures/lanes";
import { useLook } from "@/charts/plot/look";
import { Plot } from "@/charts/plot/Plot";
import { ErrorState } from "@/components/feedback/states";
import { scrolledByKeys } from "@/components/layout/scroll";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import type { LiveRun } from "@/features/run/live/live-run";
import { cursorOf, type StepCursor } from "@/features/run/playback/step-cursor";
import { ledgerReason, ledgerSentence, moduleLabel } from "./ledger-text";
import { componentsQuery, moduleLedgerQuery } from "./queries";

const mostLines = 200;
const ledgerMs = 20_000;

interface ModuleDrawerProps {
  runId: string;
  live: LiveRun;
  /** Index of the module; null: closed. */
  module: number | null;
  cursor: StepCursor;
  status: RunStatus;
  hasLedger: boolean;
  onClose: () => void;
}

/** One module: its components over the steps, and why each was pruned or regrown. */
export function ModuleDrawer({ live, module, onClose, ...rest }: ModuleDrawerProps) {
  const isNarrow = useMediaQuery("(width < 48em)");
  const shown = module === null ? undefined : live.modules[module];
  return (
    <Drawer
      opened={shown !== undefined}
      onClose={onClose}
      position="right"
      // Mantine can't return the focus for a drawer that is mounted open: the Ranks tab does.
      returnFocus={false}
      size={isNarrow ? "100%" : 720}
      title={shown ? capitalised(moduleLabel(shown, live.modules)) : ""}
      closeButtonProps={{ "aria-label": "Close" }}
      overlayProps={{ backgroundOpacity: 0.25 }}
    >
      {shown && module !== null ? <ModuleView {...rest} live={live} module={module} shown={shown} /> : null}
    </Drawer>
  );
}

interface ModuleViewProps extends Omit<ModuleDrawerProps, "module" | "onClose"> {
  module: number;
  shown: Module;
}

function ModuleView({ runId, live, module, shown, cursor, status, hasLedger }: ModuleViewProps) {
  const look = useLook();
  // A run may prune several times a second.
  const prunings = useThrottledValue(live.prunings, ledgerMs);
  const components = useQuery(componentsQuery(runId, module, prunings, status));
  const ledger = useQuery({
    ...moduleLedgerQuery(runId, module, prunings),
    placeholderData: (before) => (before?.items[0]?.module === module ? before : undefined),
    enabled: hasLedger,
  });
  const lines = ledger.data?.items ?? none;
  const history = components.data;
  const figure = useMemo(() => (history ? lanesFigure(history, lines, look) : null), [history, lines, look]);
  const label = moduleLabel(shown, live.modules);
  const height = lanesHeight(live.width);
  const error = components.error ?? ledger.error;
  return (
    <Stack gap="sm">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
          {shown.name} · {count(shown.out_features)} × {count(shown.in_features)} · rank{" "}
          {live.snapshots.at(-1)?.ranks[module] ?? 0} of {live.width}
        </Text>
        {history ? (
          <ExportMenu
            label="Export components"
            file={`${runId} ${shown.name}`}
            title={`Components of ${label}`}
            height={height}
            figureOf={(chosen) => lanesFigure(history, lines, chosen)}
            rows={() => laneRows(history)}
          />
        ) : null}
      </Group>
      {error ? <ErrorState error={error} onRetry={() => void components.refetch()} /> : null}
      {figure ? (
        <Plot
          figure={figure}
          height={height}
          label={`Components of ${label} over the steps: ${plural(lines.length, "change")}, listed below.`}
          {...cursorOf(cursor)}
        />
      ) : (
        <Skeleton height={height} />
      )}
      {hasLedger ? <Ledger lines={lines} module={label} isRead={ledger.isSuccess} /> : null}
    </Stack>
  );
}

const none: LedgerLine[] = [];

interface LedgerProps {
  lines: readonly LedgerLine[];
  /** Label of the module. */
  module: string;
  isRead: boolean;
}

function Ledger({ lines, module, isRead }: LedgerProps) {
  const [only, setOnly] = useState("all");
  const wanted = lines.filter((line) => only === "all" || line.change === only);
  const shown = wanted.slice(-mostLines).reverse();
  if (isRead && lines.length === 0) return <Text size="sm">No component of this module was pruned.</Text>;
  return (
    <>
      <SegmentedControl
        size="xs"
        aria-label="Which changes"
        value={only}
        onChange={setOnly}
        style={{ alignSelf: "flex-start" }}
        data={[
          { value: "all", label: "All changes" },
          { value: "pruned", label: "Pruned" },
          { value: "regrown", label: "Regrown" },
        ]}
      />
      <ScrollArea.Autosize mah="50vh" viewportProps={scrolledByKeys}>
        <ul className="ledger" aria-label="Changes, newest first">
          {shown.map((line) => (
            <li key={`${line.seq}-${line.component}`}>
              <Text size="sm" className="numbers">
                {ledgerSentence(line, module)}
              </Text>
              <Text size="xs" c="dimmed" className="numbers">
                {ledgerReason(line)}
              </Text>
            </li>
          ))}
        </ul>
      </ScrollArea.Autosize>
      {wanted.length > shown.length ? (
        <Text size="xs" c="dimmed">
          The newest {mostLines} of {count(wanted.length)} changes.
        </Text>
      ) : null}
    </>
  );
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
