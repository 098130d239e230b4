/** Text of a person or a model in a chart: Plotly would read tags, entities and templates in it. */

const longest = 80;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
const invisible = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

/** The text without characters that are not seen but change what is: controls, and changes of direction. */
export const visibleText = (text: string): string => text.replace(invisible, " ");

/** The text as Plotly shows it word by word: in names, titles, ticks and hover templates. */
export function plainText(text: string): string {
  const seen = visibleText(text);
  const short = seen.length > longest ? `${seen.slice(0, longest - 1)}…` : seen;
  return short
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("%{", "%&#123;");
}
