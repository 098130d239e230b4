import { visibleText } from "@/components/text/visible-text";

/** Escapes text for charts: Plotly would interpret tags, entities and templates in it. */

const longest = 80;

/** The text, escaped for Plotly's names, titles, ticks and hover templates. */
export function plainText(text: string): string {
  const seen = visibleText(text);
  const short = seen.length > longest ? `${seen.slice(0, longest - 1)}…` : seen;
  return short
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("%{", "%&#123;");
}
