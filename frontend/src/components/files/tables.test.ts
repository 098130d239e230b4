import { expect, test } from "vitest";
import { csvOf, jsonOf } from "./tables";

test("CSV quotes where needed, and leaves missing values empty", () => {
  expect(csvOf([{ name: 'a "b", c', value: null, other: Number.NaN }])).toBe(
    'name,value,other\r\n"a ""b"", c",,NaN\r\n',
  );
});

test("JSON has values that are not finite by name", () => {
  expect(JSON.parse(jsonOf({ a: Number.NaN, b: [1] }))).toEqual({ a: "NaN", b: [1] });
});

test("text that a spreadsheet would run is quoted, and a number stays a number", () => {
  const rows = [
    {
      "=cmd": '=HYPERLINK("https://example.org")',
      b: "+1+1",
      c: "@sum",
      d: "\tx",
      e: "-x",
      f: -1.5,
      g: "-2e-3",
      h: "-Infinity",
    },
  ];
  expect(csvOf(rows)).toBe(
    `'=cmd,b,c,d,e,f,g,h\r\n"'=HYPERLINK(""https://example.org"")",'+1+1,'@sum,'\tx,'-x,-1.5,-2e-3,-Infinity\r\n`,
  );
});
