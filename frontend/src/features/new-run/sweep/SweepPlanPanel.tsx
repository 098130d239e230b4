import { Text } from "@mantine/core";
import type { SweepVerdict } from "@/api/types";
import { configValue, count } from "@/components/text/format";
import { plural } from "@/components/text/plural";
import { TrialsPlanPanel, type TrialsPlanPanelProps } from "@/features/new-run/trials/TrialsPlanPanel";

const mostExamples = 5;

/** The plan of a sweep, with its metric, rungs, and some of its points. */
export function SweepPlanPanel(props: TrialsPlanPanelProps<NonNullable<SweepVerdict["plan"]>>) {
  const { plan } = props;
  return (
    <TrialsPlanPanel
      {...props}
      noun="sweep"
      size={plan ? `${plural(plan.points, "point")}, ${plural(plan.trials, "run")}` : ""}
      note={
        plan
          ? `Ranked by ${plan.metric.title}.${plan.rungs.length ? ` Points are compared at steps ${plan.rungs.map(count).join(", ")}.` : ""}`
          : ""
      }
    >
      <Text size="xs" fw={600}>
        First points
      </Text>
      <ul className="plain-examples">
        {plan?.examples.slice(0, mostExamples).map((values) => (
          <li key={JSON.stringify(values)}>
            <Text size="xs" className="numbers" style={{ overflowWrap: "anywhere" }}>
              {Object.entries(values)
                .map(([name, value]) => `${name} = ${configValue(value)}`)
                .join(", ")}
            </Text>
          </li>
        ))}
      </ul>
    </TrialsPlanPanel>
  );
}
