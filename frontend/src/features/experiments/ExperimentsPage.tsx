import { Button, Text } from "@mantine/core";
import { IconPlus, IconUpload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import type { ExperimentSummary } from "@/api/types";
import { count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { TrialsListPage } from "@/components/trials/TrialsListPage";
import { TrialsStatus } from "@/components/trials/TrialsStatus";
import { experimentsQuery } from "@/features/experiments/view/queries";
import { ImportDialog } from "./ImportDialog";
import "./experiments.css";

/** Every experiment, the newest first. */
export function ExperimentsPage() {
  const [isImporting, setImporting] = useState(false);
  return (
    <>
      <TrialsListPage
        title="Experiments"
        lead="Does adaptive rank help on your task? Methods at the same budget and seeds, answered in sentences."
        query={useQuery(experimentsQuery)}
        actions={
          <>
            <Button component={Link} to="/experiments/new" leftSection={<IconPlus size={16} />}>
              New experiment
            </Button>
            <Button
              variant="default"
              leftSection={<IconUpload size={16} />}
              onClick={() => setImporting(true)}
            >
              Import results
            </Button>
          </>
        }
        empty={{
          title: "No experiments yet",
          text: "An experiment compares methods with plain LoRA at the same budget over several seeds, and says what the results show. Launch one, or import results that you have, as JSON lines.",
        }}
        address="/experiments"
        noun="Experiment"
        columns={[
          { title: "Status", cell: ({ status }) => <TrialsStatus status={status} /> },
          { title: "Trials", cell: trialsText },
          { title: "Compares", cell: (experiment) => <Compared experiment={experiment} /> },
        ]}
        minWidth={640}
      />
      <ImportDialog opened={isImporting} onClose={() => setImporting(false)} />
    </>
  );
}

function Compared({ experiment: { variants, budgets, seeds, tasks } }: { experiment: ExperimentSummary }) {
  return (
    <>
      <Text size="sm">
        {plural(variants, "variant")}, mean rank {budgets.join(", ")}, {plural(seeds, "seed")}
      </Text>
      <Text size="xs" c="dimmed">
        {tasks.join(", ")}
      </Text>
    </>
  );
}

function trialsText({ trials: { done, failed }, expected_trials: all }: ExperimentSummary): string {
  return `${done === all ? count(all) : `${count(done)} of ${count(all)}`}${failed ? `, ${failed} failed` : ""}`;
}
