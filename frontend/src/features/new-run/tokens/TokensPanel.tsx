import {
  ActionIcon,
  Alert,
  Badge,
  Button,
  Group,
  Loader,
  NumberInput,
  Stack,
  Switch,
  Text,
} from "@mantine/core";
import { IconChevronLeft, IconChevronRight, IconEye, IconRefresh } from "@tabler/icons-react";
import { useState } from "react";
import type { ConfigDraft, TokenLengths, TokenRow, TokenRows } from "@/api/types";
import { ErrorState } from "@/components/feedback/states";
import { Panel } from "@/components/layout/Panel";
import { ApiText } from "@/components/text/ApiText";
import { count, share } from "@/components/text/format";
import { TokenLine } from "./TokenLine";
import { tokensKey, useTokenRows } from "./use-token-rows";
import "./tokens.css";

interface TokensPanelProps {
  draft: ConfigDraft;
  /** Number of rows of the data set. */
  rows: number;
  /** Whether the configuration can run. */
  isValid: boolean;
}

/** The text and the tokens of any row, as the training gets them. */
export function TokensPanel({ draft, rows, isValid }: TokensPanelProps) {
  const [asked, setAsked] = useState<ConfigDraft | null>(null);
  const [row, setRow] = useState(1);
  const [hasIds, setIds] = useState(false);
  const shown = Math.min(row, Math.max(1, rows));
  const { answer, error, retry } = useTokenRows(asked, shown);
  const isOutdated = asked !== null && tokensKey(asked) !== tokensKey(draft);
  const show = () => setAsked(draft);
  return (
    <Panel
      title="What the model sees"
      note="The text of a row and its tokens, exactly as the training gets them."
      actions={
        asked ? (
          <Switch
            size="xs"
            label="Token ids"
            checked={hasIds}
            onChange={(event) => setIds(event.currentTarget.checked)}
          />
        ) : undefined
      }
    >
      {asked === null ? (
        <Button
          variant="default"
          size="xs"
          leftSection={<IconEye size={14} />}
          onClick={show}
          disabled={!isValid}
          title={isValid ? undefined : "The configuration must be valid first."}
          data-testid="show-tokens"
        >
          Show a row
        </Button>
      ) : (
        <Stack gap="sm" data-testid="tokens">
          <RowChooser row={shown} rows={rows} onRow={setRow} />
          {isOutdated ? (
            <Group gap="xs">
              <Text size="xs" c="dimmed">
                The configuration has changed since.
              </Text>
              <Button
                size="compact-xs"
                variant="default"
                leftSection={<IconRefresh size={12} />}
                onClick={show}
                disabled={!isValid}
              >
                Update
              </Button>
            </Group>
          ) : null}
          {error ? (
            <ErrorState title="Could not get the tokens" error={error} onRetry={retry} />
          ) : answer?.status === "failed" ? (
            <Alert color="red" variant="light" title={answer.message ?? "The rows can't be tokenized."}>
              <ApiText>{[answer.next_step]}</ApiText>
            </Alert>
          ) : answer?.result ? (
            <div style={{ opacity: isOutdated ? 0.55 : 1 }}>
              <Answer result={answer.result} row={shown} hasIds={hasIds} />
            </div>
          ) : (
            <Group gap="xs" role="status">
              <Loader size={14} />
              <Text size="xs" c="dimmed">
                <ApiText>{[answer?.message ?? "Waiting for a worker.", answer?.next_step]}</ApiText>
              </Text>
            </Group>
          )}
        </Stack>
      )}
    </Panel>
  );
}

export function Answer({ result, row, hasIds }: { result: TokenRows; row: number; hasIds: boolean }) {
  const one = result.rows.find((each) => each.number === row);
  return (
    <>
      {one ? <Row row={one} hasIds={hasIds} /> : <Text size="sm">The data set does not have this row.</Text>}
      {result.lengths ? <Lengths lengths={result.lengths} maxLength={result.max_length} /> : null}
    </>
  );
}

export function RowChooser({
  row,
  rows,
  onRow,
}: {
  row: number;
  rows: number;
  onRow: (row: number) => void;
}) {
  return (
    <Group gap={6} wrap="nowrap">
      <ActionIcon
        variant="default"
        aria-label="Previous row"
        disabled={row <= 1}
        onClick={() => onRow(row - 1)}
      >
        <IconChevronLeft size={16} />
      </ActionIcon>
      <NumberInput
        aria-label="Row"
        size="xs"
        w={96}
        min={1}
        max={rows}
        value={row}
        onChange={(next) => {
          if (typeof next === "number" && next >= 1) onRow(Math.min(Math.floor(next), rows));
        }}
        allowDecimal={false}
        allowNegative={false}
        hideControls
      />
      <ActionIcon
        variant="default"
        aria-label="Next row"
        disabled={row >= rows}
        onClick={() => onRow(row + 1)}
      >
        <IconChevronRight size={16} />
      </ActionIcon>
      <Text size="xs" c="dimmed" className="numbers">
        of {count(rows)}
      </Text>
    </Group>
  );
}

const sides = { train: "training", evaluation: "evaluation" };

function Row({ row, hasIds }: { row: TokenRow; hasIds: boolean }) {
  return (
    <Stack gap="xs">
      <Group gap="xs">
        <Badge variant="light" color={row.side ? "blue" : "gray"} tt="none">
          {row.side ? sides[row.side] : "left out"}
        </Badge>
        <Text size="xs" c="dimmed" className="numbers">
          line {count(row.line)}
        </Text>
        {row.target !== null ? (
          <Text size="xs" lineClamp={2} title={row.target}>
            <Text span size="xs" c="dimmed">
              target{" "}
            </Text>
            {row.target}
          </Text>
        ) : null}
      </Group>
      {row.left_out ? (
        <Text size="sm">
          <ApiText>{`Left out: ${row.left_out}`}</ApiText>
        </Text>
      ) : null}
      {row.problem ? (
        <Alert color="red" variant="light" py="xs" title="A run would end at this row.">
          <ApiText>{row.problem}</ApiText>
        </Alert>
      ) : null}
      {row.texts.map((one) => (
        <div key={one.title}>
          <Text size="xs" c="dimmed">
            {one.title}
          </Text>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
          <pre className="given-text" tabIndex={0} title={one.title}>
            {one.text}
          </pre>
        </div>
      ))}
      {row.sequences.map((one) => (
        <TokenLine key={one.title} sequence={one} hasIds={hasIds} />
      ))}
      {row.n_unlisted_sequences ? (
        <Text size="xs" c="dimmed">
          and {count(row.n_unlisted_sequences)} more windows
        </Text>
      ) : null}
    </Stack>
  );
}

function Lengths({ lengths, maxLength }: { lengths: TokenLengths; maxLength: number }) {
  const { rows, over } = lengths;
  return (
    <Text size="xs" mt="sm" className="numbers" data-testid="token-lengths">
      {over === 0 ? (
        <>Nothing is cut off in </>
      ) : (
        <>
          <b>
            {count(over)} ({share(over / rows)})
          </b>{" "}
          {over === 1 ? "does" : "do"} not fit into {count(maxLength)} tokens, of{" "}
        </>
      )}
      {lengths.is_sample ? `a random sample of ${count(rows)} used rows` : `all ${count(rows)} used rows`}:
      median {count(lengths.median)} tokens, 95 % up to {count(lengths.most_up_to)}, longest{" "}
      {count(lengths.longest)}.
    </Text>
  );
}
