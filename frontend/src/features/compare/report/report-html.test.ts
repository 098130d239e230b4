import { expect, test } from "vitest";
import type { Figure } from "@/charts/plot/figure";
import { darkChanges, reportHtml } from "./report-html";

const figure = (colour: string): Figure =>
  ({
    data: [{ x: [1, 2], y: [3, 4], line: { color: colour } }],
    layout: { font: { color: colour } },
  }) as never;

test("no text of a run can become a tag or end a script, and nothing is loaded", () => {
  const evil = "</script><img src=x onerror=alert(1)>";
  const light = figure("#000");
  (light.data[0] as { name?: string }).name = evil;
  const html = reportHtml({
    ...{ title: evil, subtitle: evil, footer: evil, plotly: "/* </script> */" },
    parts: [
      { legend: [{ name: evil, light: "#000", dark: "#fff", dash: "none" }] },
      { text: evil, isWarning: true },
      { table: { title: evil, head: [evil], rows: [[evil]] } },
      { charts: [{ title: evil, height: 100, light, dark: figure("#fff") }] },
    ],
  });
  expect(html).not.toContain("<img");
  expect(html.match(/<\/script>/g)).toHaveLength(2);
  expect(html).not.toMatch(/(src|href)=["']?(https?:)?\/\//);
  expect(html).toContain("default-src 'none'");
  expect(html.match(/id="chart-/g)).toHaveLength(1);
});

test("the points of a dark figure are not stored twice", () => {
  const changes = darkChanges(figure("#000"), figure("#fff"));
  expect(changes).toEqual({ data: [{ line: { color: "#fff" } }], layout: { font: { color: "#fff" } } });
});
