import { Select, SimpleGrid, Stack, Text, UnstyledButton } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import type { ConfigDraft, Preset } from "@/api/types";
import { PresetNeeds } from "./PresetNeeds";
import { presetsQuery } from "./queries";

interface PresetCardsProps {
  presets: Preset[];
  draft: ConfigDraft;
  onChoose: (draft: ConfigDraft) => void;
}

/** Ready-made configurations; the one that equals the form is marked. */
export function PresetCards({ presets, draft, onChoose }: PresetCardsProps) {
  const client = useQueryClient();
  const now = JSON.stringify(draft);
  const isNow = (preset: Preset) => JSON.stringify(preset.config) === now;
  const cards = presets.filter((preset) => preset.group === null);
  const more = presets.filter((preset) => preset.group !== null);
  const chosen = more.find(isNow);
  const readAgain = async (key: string) => {
    for (const queryKey of [["models"], ["datasets"]]) void client.invalidateQueries({ queryKey });
    const fresh = await client.fetchQuery({ ...presetsQuery, staleTime: 0 });
    const preset = fresh.find((one) => one.key === key);
    if (preset) onChoose(preset.config as unknown as ConfigDraft);
  };
  return (
    <Stack gap="sm" component="section" aria-label="Presets">
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3, lg: 5 }} spacing="sm" className="presets">
        {cards.map((preset) => (
          <UnstyledButton
            key={preset.key}
            className="preset"
            aria-pressed={isNow(preset)}
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
      {more.length ? (
        <Select
          aria-label="More presets"
          placeholder="More presets"
          maw={420}
          size="xs"
          value={chosen?.key ?? null}
          data={[...new Set(more.map((preset) => preset.group ?? ""))].map((group) => ({
            group,
            items: more
              .filter((preset) => preset.group === group)
              .map((preset) => ({ value: preset.key, label: preset.title })),
          }))}
          onChange={(key) => {
            const preset = more.find((one) => one.key === key);
            if (preset) onChoose(preset.config as unknown as ConfigDraft);
          }}
          description={chosen?.description}
          inputWrapperOrder={["label", "input", "error", "description"]}
          allowDeselect={false}
        />
      ) : null}
      {chosen?.missing_model || chosen?.missing_data ? (
        <PresetNeeds key={chosen.key} preset={chosen} onReady={() => void readAgain(chosen.key)} />
      ) : null}
    </Stack>
  );
}
