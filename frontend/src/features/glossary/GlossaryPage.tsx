import { Anchor, Code, Container, Group, Stack, Text, Title } from "@mantine/core";
import { Fragment } from "react";
import { Panel } from "@/components/layout/Panel";
import { useTitle } from "@/components/navigation/use-title";
import { glossary, type Term } from "./glossary";
import "./glossary.css";

const anchorOf = (title: string): string => title.toLowerCase().replaceAll(" ", "-");

export function GlossaryPage() {
  useTitle("Glossary");
  return (
    <Container size="md" px={{ base: "sm", sm: "lg" }} py="md">
      <Stack gap="md">
        <div>
          <Title order={1} size="h3">
            Glossary
          </Title>
          <Group component="nav" aria-label="Sections" gap="sm" mt={4}>
            {glossary.map(({ title }) => (
              <Anchor key={title} href={`#${anchorOf(title)}`} size="sm">
                {title}
              </Anchor>
            ))}
          </Group>
        </div>
        {glossary.map(({ title, terms }) => (
          <div key={title} id={anchorOf(title)} className="glossary-section">
            <Panel title={title}>
              <dl className="glossary">
                {terms.map((term) => (
                  <GlossaryTerm key={term.name} {...term} />
                ))}
              </dl>
            </Panel>
          </div>
        ))}
      </Stack>
    </Container>
  );
}

const GlossaryTerm = ({ name, meaning }: Term) => (
  <div>
    <Text component="dt" size="sm" fw={600}>
      {name}
    </Text>
    <Text component="dd" size="sm">
      <Marked text={meaning} />
    </Text>
  </div>
);

/** `code` and *emphasis* of a line of Markdown. */
const Marked = ({ text }: { text: string }) =>
  text.split(/(`[^`]+`|\*[^*]+\*)/).map((part, index) => {
    const key = `${index}-${part}`;
    if (part.startsWith("`")) return <Code key={key}>{part.slice(1, -1)}</Code>;
    if (part.startsWith("*")) return <em key={key}>{part.slice(1, -1)}</em>;
    return <Fragment key={key}>{part}</Fragment>;
  });
