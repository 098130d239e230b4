import { Button, Group, Stack, Text } from "@mantine/core";
import { useState } from "react";
import type { Answer, Chain, ExperimentDetail, VariantComparison } from "@/api/types";
import { Panel } from "@/components/layout/Panel";
import { VerdictBadge } from "./VerdictBadge";

const few = 4;

/** The controls of each method, as a chain below the sentence that they explain. */
export function ChainsPanel({ answer, experiment }: { answer: Answer; experiment: ExperimentDetail }) {
  const [showsAll, setShowsAll] = useState(false);
  const { chains } = answer;
  const hasTasks = experiment.tasks.length > 1;
  const byId = new Map(answer.comparisons.map((one) => [one.id, one]));
  if (chains.length === 0) return null;
  return (
    <Panel
      title="Why: the controls"
      note="Each control removes one possible cause. If it is as good as the method, that cause explains the difference."
    >
      <Stack gap="md">
        {(showsAll ? chains : chains.slice(0, few)).map((chain) => (
          <OneChain key={chain.comparison} chain={chain} byId={byId} hasTasks={hasTasks} />
        ))}
      </Stack>
      {chains.length > few ? (
        <Button variant="default" size="xs" mt="sm" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? "Show fewer" : `Show all ${chains.length}`}
        </Button>
      ) : null}
    </Panel>
  );
}

interface OneChainProps {
  chain: Chain;
  byId: ReadonlyMap<string, VariantComparison>;
  hasTasks: boolean;
}

function OneChain({ chain, byId, hasTasks }: OneChainProps) {
  const main = byId.get(chain.comparison);
  return (
    <section>
      <Group gap="xs">
        <Text size="sm" fw={600}>
          {chain.method}, mean rank {chain.budget}
          {hasTasks ? `, ${chain.task}` : ""}
        </Text>
        {main ? <VerdictBadge comparison={main} /> : null}
      </Group>
      <ol className="chain">
        {chain.steps.map((step) => (
          <li key={step.comparison}>
            <Text size="xs" c="dimmed">
              {step.title}
            </Text>
            <Text size="sm">{step.text}</Text>
          </li>
        ))}
      </ol>
    </section>
  );
}
