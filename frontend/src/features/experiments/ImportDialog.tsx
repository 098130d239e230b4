import {
  Alert,
  Button,
  FileInput,
  Group,
  Modal,
  NumberInput,
  Select,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { ApiError, fetchFromServer, toApiError, unwrap } from "@/api/client";
import type { ExperimentDetail, FieldProblem } from "@/api/types";
import { type Preview, previewOf } from "./import-preview";

const mostProblems = 8;

/** Imports results of trainings that ran elsewhere. Reads the file first to offer metrics and variants. */
export function ImportDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Import results" size="lg" centered>
      {opened ? <ImportForm onClose={onClose} /> : null}
    </Modal>
  );
}

function ImportForm({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [preview, setPreview] = useState<Preview | null>(null);
  const [name, setName] = useState("");
  const [metric, setMetric] = useState<string | null>(null);
  const [baseline, setBaseline] = useState<string | null>(null);
  const [margin, setMargin] = useState<number | string>("");
  const send = useMutation({
    mutationFn: async () => {
      const query = new URLSearchParams({ name: name.trim() || file?.name || "Imported results" });
      if (metric) query.set("metric", metric);
      if (baseline) query.set("baseline", baseline);
      if (margin !== "") query.set("margin", String(margin));
      return importFile(file as File, query);
    },
    onSuccess: (experiment) => {
      void client.invalidateQueries({ queryKey: ["experiments"] });
      onClose();
      void navigate(`/experiments/${experiment.id}`);
    },
  });
  const choose = async (next: File | null) => {
    send.reset();
    setFile(next);
    const found = next ? previewOf(await next.text()) : null;
    setPreview(found);
    setMetric(found?.metric ?? null);
    setBaseline(found?.baseline ?? null);
    if (next) setName(next.name.replace(/\.(jsonl|ndjson|json|txt)$/i, ""));
  };
  return (
    <Stack gap="sm">
      <Text size="sm">
        One JSON object per line, one for each training, with a variant, a budget, a seed and a metric. See{" "}
        <code>docs/experiments.md</code> for all fields.
      </Text>
      <Text size="xs" component="pre" className="sample">
        {'{"variant": "my method", "budget": 2, "seed": 0, "accuracy": 0.8315}'}
      </Text>
      <FileInput
        label="File"
        placeholder="Choose a file"
        accept=".jsonl,.ndjson,.json,.txt"
        value={file}
        onChange={(next) => void choose(next)}
        clearable
        data-autofocus
      />
      {preview ? (
        <>
          <TextInput
            label="Name"
            value={name}
            maxLength={200}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Group grow align="flex-start">
            <Select
              label="Headline metric"
              data={preview.metrics}
              value={metric}
              onChange={setMetric}
              placeholder="Choose"
              searchable
            />
            <Select
              label="Baseline"
              description=""
              data={preview.variants}
              value={baseline}
              onChange={setBaseline}
              placeholder="Choose"
              searchable
            />
          </Group>
          <NumberInput
            label="Margin"
            description="The smallest difference that matters, in the metric's unit. Empty: half a point, 0.005, for a metric from 0 to 1."
            value={margin}
            onChange={setMargin}
            min={0}
            step={0.001}
            placeholder="0.005"
          />
        </>
      ) : null}
      {send.error ? <Problems error={send.error} /> : null}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button disabled={!file} loading={send.isPending} onClick={() => send.mutate()}>
          Import
        </Button>
      </Group>
    </Stack>
  );
}

/** The first lines that were rejected. */
function Problems({ error }: { error: Error }) {
  const fields: FieldProblem[] = error instanceof ApiError ? error.fields : [];
  return (
    <Alert color="red" variant="light" title="Nothing was imported" role="alert">
      {fields.length ? (
        <ul className="plain-list">
          {fields.slice(0, mostProblems).map((field) => (
            <li key={`${field.field} ${field.message}`}>
              <Text size="sm">
                <b>{field.field}</b> {field.message}. {field.next_step}
              </Text>
            </li>
          ))}
          {fields.length > mostProblems ? (
            <li>
              <Text size="sm">and {fields.length - mostProblems} more</Text>
            </li>
          ) : null}
        </ul>
      ) : (
        <Text size="sm">{error.message}</Text>
      )}
    </Alert>
  );
}

async function importFile(file: File, query: URLSearchParams): Promise<ExperimentDetail> {
  const address = new URL(`/api/v1/experiments/import?${query}`, window.location.origin);
  const headers = { "Content-Type": "application/octet-stream" };
  const request = new Request(address, { method: "POST", body: file, headers });
  const sent = fetchFromServer(request).then(async (response) => {
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok) throw toApiError(response.status, body);
    return { data: body as { experiment: ExperimentDetail }, response };
  });
  return sent.then((answer) => unwrap(Promise.resolve(answer))).then(({ experiment }) => experiment);
}
