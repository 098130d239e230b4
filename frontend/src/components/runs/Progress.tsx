import { Progress as Bar, Box, Group, Text } from "@mantine/core";
import { count } from "@/components/text/format";

interface ProgressProps {
  step: number;
  total: number | null;
  isActive: boolean;
  hint?: string;
}

/** Steps done out of all steps: a bar of constant size with text next to it. */
export function StepProgress({ step, total, isActive, hint }: ProgressProps) {
  const share = total ? Math.min(100, (100 * step) / total) : 0;
  return (
    <Box>
      <Bar.Root size={5} radius="xl">
        <Bar.Section
          value={share}
          color={isActive ? "brand" : "gray.5"}
          aria-label="Progress"
          aria-valuetext={total ? `step ${step} of ${total}` : `step ${step}`}
        />
      </Bar.Root>
      <Group justify="space-between" gap={6} wrap="nowrap" mt={3}>
        <Text size="xs" className="numbers" c="dimmed" style={{ whiteSpace: "nowrap" }}>
          {count(step)} / {count(total)}
        </Text>
        <Text size="xs" className="numbers clip" c="dimmed" title={hint}>
          {hint}
        </Text>
      </Group>
    </Box>
  );
}
