import { expect, test } from "vitest";
import { drawnRows } from "@/charts/export/drawn-rows";
import { curvesFigure } from "@/charts/figures/curves";
import { visibleText } from "@/components/text/visible-text";
import { titled } from "./figure";
import { lightLook } from "./look";
import { plainText } from "./plain-text";

const evil = '<a href="https://example.org">100%{x}</a> & co';
const escaped = '&lt;a href="https://example.org"&gt;100%&#123;x}&lt;/a&gt; &amp; co';

test("tags, entities and templates are text", () => {
  expect(plainText(evil)).toBe(escaped);
  expect(plainText("x".repeat(500))).toHaveLength(80);
});

test("invisible characters that change how others look are removed", () => {
  expect(visibleText("safe\u202egnp.exe\u0000\u2066!")).toBe("safe gnp.exe !");
});

test("a figure escapes any name of a run or metric, and its exported numbers have the original name", () => {
  const curve = { name: evil, x: [1, 2], values: [1, "NaN" as const], colour: "#000" };
  const figure = titled(
    curvesFigure({
      ...{ curves: [curve], look: lightLook, xTitle: evil, yTitle: evil, secondTitle: evil },
      marks: [{ x: 1, text: evil }],
    }),
    evil,
    lightLook,
  );
  const texts: string[] = [];
  const collect = (value: unknown, key: string) => {
    if (key === "meta" || key === "uirevision") return;
    if (typeof value === "string") texts.push(value);
    else if (typeof value === "object" && value !== null)
      for (const [name, part] of Object.entries(value)) collect(part, name);
  };
  collect(figure, "");
  expect(texts.filter((text) => text.includes("example.org")).length).toBeGreaterThanOrEqual(7);
  for (const text of texts) expect(text).not.toMatch(/<a |%\{x\}<\/a|%\{x\}&/);
  expect(drawnRows(figure)[0]).toMatchObject({ series: evil });
});
