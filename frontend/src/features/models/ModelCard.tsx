import {
  ActionIcon,
  Alert,
  Anchor,
  Badge,
  Group,
  Paper,
  Stack,
  Table,
  Text,
  Title,
  Tooltip,
} from "@mantine/core";
import { IconAlertTriangle, IconTrash } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Link } from "react-router";
import type { ModelInfo } from "@/api/types";
import { useServerNow } from "@/components/server/use-server-now";
import { ApiText } from "@/components/text/ApiText";
import { age, bytes, count, dateTime, missing, shortCount } from "@/components/text/format";
import { plural } from "@/components/text/plural";

interface ModelCardProps {
  model: ModelInfo;
  onDelete: () => void;
}

export function ModelCard({ model, onDelete }: ModelCardProps) {
  const isBusy = model.n_active_runs > 0;
  return (
    <Paper component="section" withBorder p="md" radius="md" data-model={model.id}>
      <Group justify="space-between" align="flex-start" wrap="nowrap" gap="xs">
        <div className="model-names">
          <Title order={2} size="h5">
            {model.name}
          </Title>
          <Text size="xs" c="dimmed" className="model-id">
            {model.id}
          </Text>
        </div>
        <Group gap={6} wrap="nowrap" style={{ flexShrink: 0 }}>
          {model.problem ? (
            <Badge color="red" variant="light" radius="sm" tt="none">
              Can't be used
            </Badge>
          ) : null}
          {model.is_deletable ? (
            <Tooltip
              label={
                isBusy
                  ? `Can't be deleted: ${plural(model.n_active_runs, "unfinished run uses", "unfinished runs use")} it`
                  : "Delete model"
              }
            >
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Delete ${model.name}`}
                // Not `disabled`: the reason must be readable.
                aria-disabled={isBusy}
                onClick={() => (isBusy ? undefined : onDelete())}
                style={isBusy ? { opacity: 0.35 } : undefined}
              >
                <IconTrash size={17} />
              </ActionIcon>
            </Tooltip>
          ) : null}
        </Group>
      </Group>
      <Stack gap="xs" mt={6}>
        <Text size="sm">{model.description}</Text>
        {model.problem ? <Problem model={model} /> : <Facts model={model} />}
        {model.modules_by_kind.length ? <Modules model={model} /> : null}
      </Stack>
    </Paper>
  );
}

const Problem = ({ model }: { model: ModelInfo }) => (
  <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} p="xs">
    <Text size="sm">
      <ApiText>{model.problem ?? ""}</ApiText>
    </Text>
    <Text size="sm">
      <ApiText>{model.next_step ?? ""}</ApiText>
    </Text>
    {model.size_bytes ? (
      <Text size="xs" c="dimmed">
        {bytes(model.size_bytes)}
      </Text>
    ) : null}
  </Alert>
);

const types: Record<string, string> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  U8: "uint8",
  I8: "int8",
};

function Facts({ model }: { model: ModelInfo }) {
  const dtype = types[model.dtype] ?? model.dtype.toLowerCase();
  return (
    <dl className="model-facts">
      <Fact name="Architecture">{model.architecture || missing}</Fact>
      <Fact name="Parameters">
        <span title={count(model.parameters)}>{shortCount(model.parameters)}</span>
      </Fact>
      <Fact name="Weights">
        {bytes(model.size_bytes)}, {model.is_quantised ? "quantised" : dtype}
      </Fact>
      <Fact name="Context">
        {model.context_length ? `${count(model.context_length)} tokens` : "no limit"}
      </Fact>
      <Fact name="License">{model.license ?? "not stated"}</Fact>
      <Fact name="Last used" isLong>
        <LastUse model={model} />
      </Fact>
      {model.hub_id ? (
        <Fact name="From the hub" isLong>
          {model.hub_id}
          {model.revision ? `, commit ${model.revision.slice(0, 8)}` : ""}
        </Fact>
      ) : null}
    </dl>
  );
}

const Fact = ({ name, isLong, children }: { name: string; isLong?: boolean; children: ReactNode }) => (
  <div className={isLong ? "is-long" : undefined}>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

function LastUse({ model }: { model: ModelInfo }) {
  const now = useServerNow(30_000);
  const run = model.last_run;
  if (!run) return "never";
  return (
    <>
      <Anchor component={Link} to={`/runs/${run.id}`} inherit>
        {run.name}
      </Anchor>
      <span title={dateTime(run.created_at)}>, {age(run.created_at, now)}</span>
      {model.n_runs > 1 ? ` (${count(model.n_runs)} runs)` : ""}
    </>
  );
}

const Modules = ({ model }: { model: ModelInfo }) => (
  <details className="model-modules">
    <summary>
      {plural(model.n_modules, "adaptable module")} of {plural(model.modules_by_kind.length, "kind")}
    </summary>
    <Table.ScrollContainer minWidth={320} type="native" tabIndex={0}>
      <Table verticalSpacing={3} fz="xs" className="numbers">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Kind</Table.Th>
            <Table.Th ta="right">Modules</Table.Th>
            <Table.Th>Shape (out x in)</Table.Th>
            <Table.Th ta="right">Parameters</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {model.modules_by_kind.map((kind) => (
            <Table.Tr key={kind.name}>
              <Table.Td>{kind.name}</Table.Td>
              <Table.Td ta="right">{count(kind.count)}</Table.Td>
              <Table.Td>{kind.shapes.join(", ")}</Table.Td>
              <Table.Td ta="right">{shortCount(kind.parameters)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  </details>
);
