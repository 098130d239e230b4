/** Rows for other programs. */

/** RFC 4180; NaN by name, nothing for what there is not. */
export function csvOf(rows: readonly object[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = rows.map((row) =>
    names.map((name) => field((row as Record<string, unknown>)[name])).join(","),
  );
  return `${[names.join(","), ...lines].join("\r\n")}\r\n`;
}

function field(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** JSON has no NaN: it stands by name, as in the API. */
export const jsonOf = (content: unknown): string =>
  JSON.stringify(
    content,
    (_, value: unknown) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value),
    2,
  );
