import { Text } from "@mantine/core";
import type { TokenSequence } from "@/api/types";
import { count } from "@/components/text/format";

interface TokenLineProps {
  sequence: TokenSequence;
  /** Whether to show the number of each token. */
  hasIds: boolean;
}

/** A sequence of tokens: those with a loss are marked, those that are cut off are struck through. */
export function TokenLine({ sequence, hasIds }: TokenLineProps) {
  const { ids, texts, seen, n_cut, n_unlisted } = sequence;
  const isCut = within(sequence.cut);
  const isLearned = within(sequence.learned);
  const nameAt = new Map(sequence.names.map((one) => [one.end - 1, one.name]));
  return (
    <div>
      <Text size="xs" c="dimmed" className="numbers">
        {sequence.title}: {count(seen)} {seen === 1 ? "token" : "tokens"}
        {n_cut ? `, ${count(n_cut)} cut off` : ""}
        {sequence.learned.length ? `, ${count(lengthOf(sequence.learned))} with a loss` : ""}
      </Text>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <ol className="tokens" aria-label={`${sequence.title} tokens`} tabIndex={0}>
        {texts.map((text, index) => {
          const state = isCut(index) ? "cut" : isLearned(index) ? "learned" : "seen";
          const name = nameAt.get(index);
          return (
            <li
              key={index}
              className="token"
              data-state={state}
              title={`${text} · id ${ids[index]}${said[state]}`}
            >
              <span className="token-text">{printable(text)}</span>
              {hasIds ? <span className="token-id numbers">{ids[index]}</span> : null}
              {name ? <span className="token-name">{name}</span> : null}
            </li>
          );
        })}
      </ol>
      {n_unlisted ? (
        <Text size="xs" c="dimmed">
          and {count(n_unlisted)} more tokens
        </Text>
      ) : null}
    </div>
  );
}

type Span = TokenSequence["cut"][number];

const said = { cut: ", cut off", learned: ", with a loss", seen: "" };

/** Spaces and line breaks as characters that can be seen. */
const printable = (text: string): string =>
  text
    .replaceAll("\n", "↵")
    .replaceAll("\t", "⇥")
    .replace(/^ +| +$/g, (spaces) => "·".repeat(spaces.length));

const within =
  (spans: readonly Span[]) =>
  (index: number): boolean =>
    spans.some(({ start, end }) => index >= start && index < end);

const lengthOf = (spans: readonly Span[]): number =>
  spans.reduce((sum, { start, end }) => sum + end - start, 0);
