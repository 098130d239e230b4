/** Rows as CSV or JSON. */

/** RFC 4180: NaN by name, an empty field for null. */
export function csvOf(rows: readonly object[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = rows.map((row) =>
    names.map((name) => field((row as Record<string, unknown>)[name])).join(","),
  );
  return `${[names.map(field).join(","), ...lines].join("\r\n")}\r\n`;
}

function field(value: unknown): string {
  const text =
    value === null || value === undefined ? "" : typeof value === "string" ? asText(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A spreadsheet would read text that starts like this as a formula; a leading apostrophe prevents it. Numbers are unchanged. */
const asText = (text: string): string =>
  /^[=+\-@\t\r]/.test(text) && text !== "-Infinity" && Number.isNaN(Number(text)) ? `'${text}` : text;

/** JSON has no NaN: it is written by name, as in the API. */
export const jsonOf = (content: unknown): string =>
  JSON.stringify(
    content,
    (_, value: unknown) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value),
    2,
  );
