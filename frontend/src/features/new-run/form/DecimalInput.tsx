import { TextInput, type TextInputProps } from "@mantine/core";
import { useState } from "react";

interface DecimalInputProps extends Omit<TextInputProps, "value" | "onChange"> {
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Reads 0.003, 3e-3, 1E-4 and 0,5. Other text is passed on unchanged, so that the API reports the problem. */
export function readDecimal(text: string): number | string | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const number = Number(/^[-+]?\d+,\d+$/.test(trimmed) ? trimmed.replace(",", ".") : trimmed);
  return Number.isFinite(number) ? number : trimmed;
}

const written = (value: unknown): string =>
  value === null || value === undefined
    ? ""
    : typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3
      ? value.toExponential()
      : String(value);

/** Not Mantine's NumberInput: that reads 3e-3 as -33. */
export function DecimalInput({ value, onChange, ...input }: DecimalInputProps) {
  // Keep the typed text while it has the same value: "3e-" or "0.0" must not be rewritten while typing.
  const [text, setText] = useState(() => written(value));
  const shown = Object.is(readDecimal(text), value ?? null) ? text : written(value);
  return (
    <TextInput
      {...input}
      inputMode="decimal"
      autoComplete="off"
      value={shown}
      onChange={(event) => {
        setText(event.currentTarget.value);
        onChange(readDecimal(event.currentTarget.value));
      }}
    />
  );
}
