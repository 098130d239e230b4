import { expect, test } from "vitest";
import { lightLook } from "@/charts/plot/look";
import { histogramFigure, namedBarsFigure } from "./bars";

test("the first value is at the top, and a name can't contain markup", () => {
  const bars = [
    { name: "<b>good</b>", value: 1234 },
    { name: "bad", value: 2 },
  ];
  const { data, layout } = namedBarsFigure(bars, "rows", lightLook);
  const [top, bottom] = (layout.yaxis?.range ?? []) as number[];
  expect(Number(top)).toBeGreaterThan(Number(bottom));
  const trace = data[0] as { text: string[] };
  expect(trace.text[0]).toContain("1,234 rows");
  expect(trace.text[0]).not.toContain("<b>");
});

test("a bar of a histogram covers its lengths, the last one included", () => {
  const { data } = histogramFigure([0, 10, 20], [3, 4], "characters", "rows", lightLook);
  const trace = data[0] as { x: number[]; width: number[]; text: string[] };
  expect(trace.x).toEqual([5, 15]);
  expect(trace.width).toEqual([10, 10]);
  expect(trace.text).toEqual(["0 to 9: 3 rows", "10 to 19: 4 rows"]);
});
