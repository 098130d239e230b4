import { Box, Group, Mark, Progress, SimpleGrid, Stack, Text } from "@mantine/core";
import type { Prediction } from "@/api/types";
import { metric } from "@/components/text/format";

type Item = Prediction["items"][number];
type Guess = Item["base"];
type GuessOf<Kind extends Guess["kind"]> = Extract<Guess, { kind: Kind }>;

/** The predictions of both models for one input, side by side. */
export function Guesses({ item }: { item: Item }) {
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="lg">
      <Side name="Base model" guess={item.base} inputs={item.inputs} />
      <Side name="Fine-tuned" guess={item.tuned} inputs={item.inputs} />
    </SimpleGrid>
  );
}

interface SideProps {
  name: string;
  guess: Guess;
  inputs: Item["inputs"];
}

function Side({ name, guess, inputs }: SideProps) {
  return (
    <Box role="group" aria-label={name}>
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <GuessView name={name} guess={guess} inputs={inputs} />
    </Box>
  );
}

function GuessView({ name, guess, inputs }: SideProps) {
  switch (guess.kind) {
    case "class":
      return (
        <>
          <Main>{guess.label}</Main>
          <Shares name={name} probabilities={guess.probabilities} />
        </>
      );
    case "labels":
      return (
        <>
          <Main>{guess.labels.length ? guess.labels.join(", ") : "No label"}</Main>
          <Shares name={name} probabilities={guess.probabilities} />
        </>
      );
    case "number":
      return <Main>{metric(guess.value)}</Main>;
    case "tags":
      return <Tags guess={guess} />;
    case "span":
      return <Span guess={guess} text={inputs?.[guess.field] ?? ""} />;
    case "text":
      return (
        <Text size="sm" style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
          {guess.text || "No text"}
        </Text>
      );
  }
}

function Main({ children, lines }: { children: React.ReactNode; lines?: number }) {
  return (
    <Text fw={600} mb={6} lineClamp={lines} style={{ overflowWrap: "anywhere" }}>
      {children}
    </Text>
  );
}

function Shares({ name, probabilities }: { name: string; probabilities: Record<string, number> }) {
  return (
    <Stack gap={4}>
      {Object.entries(probabilities).map(([label, share]) => (
        <Group key={label} gap="xs" wrap="nowrap">
          <Text size="xs" w={90} className="clip" title={label}>
            {label}
          </Text>
          <Progress value={100 * share} flex={1} aria-label={`${name}: ${label}`} />
          <Text size="xs" w={48} ta="right" className="numbers">
            {(100 * share).toFixed(1)} %
          </Text>
        </Group>
      ))}
    </Stack>
  );
}

/** The words with the entities marked; without entities, each word with its tag. */
function Tags({ guess }: { guess: GuessOf<"tags"> }) {
  const { words, spans } = guess;
  const parts: React.ReactNode[] = [];
  let at = 0;
  for (const { start, end, entity } of spans) {
    parts.push(`${words.slice(at, start).join(" ")} `);
    parts.push(
      <Mark key={start} title={entity} className="mark">
        {words.slice(start, end).join(" ")}{" "}
        <Text span size="xs" fw={600}>
          {entity}
        </Text>
      </Mark>,
      " ",
    );
    at = end;
  }
  parts.push(words.slice(at).join(" "));
  return (
    <>
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        {parts}
      </Text>
      {spans.length ? null : (
        <Text size="xs" c="dimmed">
          No entity
        </Text>
      )}
      {guess.tags.length < words.length ? (
        <Text size="xs" c="dimmed">
          Words after the first {guess.tags.length} are beyond the text length and have no tag.
        </Text>
      ) : null}
    </>
  );
}

/** The answer, and the text with the answer marked. */
function Span({ guess, text }: { guess: GuessOf<"span">; text: string }) {
  const { start, end } = guess;
  const scores = [
    `score ${metric(guess.score)}`,
    ...(guess.no_answer_score == null ? [] : [`no answer ${metric(guess.no_answer_score)}`]),
  ];
  // Positions count Unicode characters, as in Python.
  const letters = [...text];
  return (
    <>
      <Main lines={3}>{guess.answer || "No answer"}</Main>
      <Text size="xs" c="dimmed" mb={6} className="numbers">
        {scores.join(" · ")}
      </Text>
      {start != null && end != null ? (
        <Text size="sm" style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
          {letters.slice(0, start).join("")}
          <Mark className="mark">{letters.slice(start, end).join("")}</Mark>
          {letters.slice(end).join("")}
        </Text>
      ) : null}
    </>
  );
}
