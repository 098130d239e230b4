/** docs/glossary.md as data, read when the page is built. */
import text from "@docs/glossary.md?raw";

export interface Term {
  name: string;
  /** May contain `code` and *terms of the page*. */
  meaning: string;
}

export interface Section {
  title: string;
  terms: Term[];
}

/** The sections of a glossary: `## Title`, then lines of `- **Term**: meaning`. Throws for any other line. */
export function sectionsOf(markdown: string): Section[] {
  const [, ...parts] = markdown.trim().split(/^## /m);
  return parts.map((part) => {
    const [title = "", ...lines] = part.split("\n").filter((line) => line.trim());
    return { title, terms: lines.map(termOf) };
  });
}

function termOf(line: string): Term {
  const [, name, meaning] = /^- \*\*(.+?)\*\*: (.+)$/.exec(line) ?? [];
  if (!name || !meaning) throw new Error(`Not a line of a glossary: ${line}`);
  return { name, meaning };
}

export const glossary: Section[] = sectionsOf(text);
