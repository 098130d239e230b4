/** A comparison as one HTML file that opens without a network: text, tables, and charts drawn by Plotly. */
import type { Figure } from "@/charts/plot/figure";

export interface ReportTable {
  title: string;
  note?: string | undefined;
  head: string[];
  rows: string[][];
  /** Columns of numbers. */
  right?: number[];
}

export interface ReportChart {
  title: string;
  note?: string;
  height: number;
  light: Figure;
  dark: Figure;
}

export interface LegendEntry {
  name: string;
  light: string;
  dark: string;
  dash: string;
}

export type ReportPart =
  | { text: string; isWarning?: boolean }
  | { table: ReportTable }
  | { legend: LegendEntry[] }
  | { charts: ReportChart[] };

export interface ReportInput {
  title: string;
  subtitle: string;
  parts: ReportPart[];
  footer: string;
  /** Plotly's source text. */
  plotly: string;
}

export const escapeHtml = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");

/**
 * JSON that is safe inside a script element: nothing in it can close the tag. Fractions keep six digits, because the
 * others can't be seen and would double the size.
 */
const scriptJson = (value: unknown): string => JSON.stringify(value, shortened).replaceAll("<", "\\u003c");

const shortened = (_: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;

type Trace = Record<string, unknown>;

/** What differs in the dark figure; the points are the same, and stored once. */
export function darkChanges(light: Figure, dark: Figure): { data: Trace[]; layout: unknown } {
  const data = dark.data.map((trace, index) => {
    const own = (light.data[index] ?? {}) as Trace;
    return Object.fromEntries(
      Object.entries(trace as Trace).filter(
        ([name, value]) => JSON.stringify(value) !== JSON.stringify(own[name]),
      ),
    );
  });
  return { data, layout: dark.layout };
}

const style = `
:root{color-scheme:light dark;--ink:#1b2733;--muted:#5b6875;--line:#e1e6eb;--page:#fff;--soft:#f5f7f9;--warn:#fff4e0}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--muted:#9aa7b4;--line:#2c333b;--page:#1a1e24;--soft:#222831;--warn:#3d2f12}}
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:1080px;margin:32px auto;padding:0 20px}
h1{font-size:24px;margin:0}h2{font-size:16px;margin:28px 0 4px}h3{font-size:13px;margin:8px 0 0}
.small{color:var(--muted);font-size:12px;margin:2px 0 6px}.warning{background:var(--warn);padding:8px 12px;border-radius:6px;margin:6px 0}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:4px 14px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;white-space:nowrap}.right{text-align:right}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:16px}

.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:12px;margin:20px 0 0}.legend span{display:flex;align-items:center;gap:6px}
@media print{body{margin:0}h2{break-after:avoid}.chart{break-inside:avoid}}
`;

/** Draws every chart in the colours of the system, and again when they change. */
const drawing = `
const dark=matchMedia("(prefers-color-scheme: dark)");
function draw(){for(const [index,chart] of charts.entries()){
const data=chart.light.data.map((trace,at)=>dark.matches?{...trace,...chart.dark.data[at]}:trace);
const layout=structuredClone(dark.matches?chart.dark.layout:chart.light.layout);
Plotly.react("chart-"+index,data,{...layout,autosize:true,height:chart.height},{displaylogo:false,responsive:true,displayModeBar:false});}}
draw();dark.addEventListener("change",draw);
`;

export function reportHtml({ title, subtitle, parts, footer, plotly }: ReportInput): string {
  const charts: ReportChart[] = [];
  const body = parts.map((part) => {
    if ("text" in part) return `<p class="${part.isWarning ? "warning" : ""}">${escapeHtml(part.text)}</p>`;
    if ("legend" in part) return legendHtml(part.legend);
    if ("table" in part) return tableHtml(part.table);
    return `<div class="charts">${part.charts
      .map((chart) => {
        const index = charts.push(chart) - 1;
        const note = chart.note ? `<p class="small">${escapeHtml(chart.note)}</p>` : "";
        return `<section class="chart"><h3>${escapeHtml(chart.title)}</h3>${note}<div id="chart-${index}" style="height:${chart.height}px"></div></section>`;
      })
      .join("")}</div>`;
  });
  const drawn = charts.map(({ light, dark, height }) => ({
    light: { data: light.data, layout: light.layout },
    dark: darkChanges(light, dark),
    height,
  }));
  const script = plotly.replace(/<\/script/gi, "<\\/script");
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">',
    // Nothing is loaded from anywhere, whatever the names in the report contain.
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">",
    `<title>${escapeHtml(title)} · RankScope</title><style>${style}</style></head><body>`,
    `<h1>${escapeHtml(title)}</h1><p class="small">${escapeHtml(subtitle)}</p>`,
    ...body,
    `<p class="small">${escapeHtml(footer)}</p>`,
    `<script>${script}</script><script>const charts=${scriptJson(drawn)};${drawing}</script></body></html>`,
  ].join("\n");
}

/** One legend for all charts: ten lines in each of them would leave no room for the curves. */
const legendHtml = (entries: readonly LegendEntry[]): string =>
  `<p class="legend">${entries
    .map(
      ({ name, light, dark, dash }) =>
        `<span><svg width="26" height="8"><line x2="26" y1="4" y2="4" stroke-width="3" stroke-dasharray="${dash}" style="stroke:light-dark(${light},${dark})"/></svg>${escapeHtml(name)}</span>`,
    )
    .join("")}</p>`;

function tableHtml({ title, note, head, rows, right = [] }: ReportTable): string {
  const align = (column: number) => (right.includes(column) ? ' class="right"' : "");
  const line = (cells: readonly string[], tag: "td" | "th") =>
    `<tr>${cells.map((cell, column) => `<${tag}${align(column)}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  return [
    `<h2>${escapeHtml(title)}</h2>`,
    note ? `<p class="small">${escapeHtml(note)}</p>` : "",
    `<div class="wide"><table><thead>${line(head, "th")}</thead><tbody>${rows.map((row) => line(row, "td")).join("")}</tbody></table></div>`,
  ].join("");
}
