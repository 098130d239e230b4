import plotly from "plotly.js-cartesian-dist-min/plotly-cartesian.min.js?raw";
import { expect, test } from "vitest";
import { curvesFigure } from "@/charts/figures/curves";
import type { Figure } from "@/charts/plot/figure";
import { darkLook, type Look, lightLook } from "@/charts/plot/look";
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

test("a report of 20 runs with the most metrics is smaller than 5 MB", () => {
  const [runs, metrics, points] = [20, 8, 400];
  const x = Array.from({ length: points }, (_, index) => 25 * index);
  const curves = Array.from({ length: runs }, (_, run) => ({
    name: `run ${run}`,
    x,
    values: x.map((step) => Math.exp(-step / (1000 + run)) + Math.sin(step * run) / 9),
    spread: x.map((step) => Math.abs(Math.sin(step + run)) / 99),
    colour: "#1763a6",
  }));
  const drawn = (look: Look) =>
    curvesFigure({ curves, look, isLog: false, xTitle: "step", hoversNearest: true });
  const chart = { title: "Train loss", height: 320, light: drawn(lightLook), dark: drawn(darkLook) };
  const parts = [{ charts: Array.from({ length: metrics }, () => chart) }];
  const html = reportHtml({ title: "20 runs", subtitle: "", footer: "", parts, plotly });
  expect(html.length).toBeGreaterThan(plotly.length + runs * metrics * points * 8);
  expect(html.length).toBeLessThan(5_000_000);
});
