import { expect, test } from "vitest";
import { glossary, sectionsOf } from "./glossary";

test("every line of the document is a term, and no term is explained twice", () => {
  const names = glossary.flatMap((section) => section.terms.map((term) => term.name));
  expect(names).toContain("Live components");
  expect(names).toContain("interrupted");
  expect(new Set(names).size).toBe(names.length);
});

test("a line of another form is an error when the page is built", () => {
  expect(() => sectionsOf("# G\n\n## A\n\n- **Rank**: a number.\n- no term")).toThrow("no term");
});
