import { SimpleGrid, Text, UnstyledButton } from "@mantine/core";
import type { ConfigDraft, Preset } from "@/api/types";

interface PresetCardsProps {
  presets: Preset[];
  draft: ConfigDraft;
  onChoose: (draft: ConfigDraft) => void;
}

/** Ready-made configurations; the one that equals the form is marked. */
export function PresetCards({ presets, draft, onChoose }: PresetCardsProps) {
  const now = JSON.stringify(draft);
  return (
    <SimpleGrid
      cols={{ base: 1, xs: 2, md: 3, lg: 5 }}
      spacing="sm"
      component="section"
      aria-label="Presets"
      className="presets"
    >
      {presets.map((preset) => (
        <UnstyledButton
          key={preset.key}
          className="preset"
          aria-pressed={JSON.stringify(preset.config) === now}
          onClick={() => onChoose(preset.config as unknown as ConfigDraft)}
          data-preset={preset.key}
        >
          <Text fw={600} size="sm">
            {preset.title}
          </Text>
          <Text size="xs" c="dimmed">
            {preset.description}
          </Text>
        </UnstyledButton>
      ))}
    </SimpleGrid>
  );
}
