import { expect, test } from "vitest";
import { csvOf, jsonOf } from "./tables";

test("CSV quotes what needs it, and leaves out what there is not", () => {
  expect(csvOf([{ name: 'a "b", c', value: null, other: Number.NaN }])).toBe(
    'name,value,other\r\n"a ""b"", c",,NaN\r\n',
  );
});

test("JSON keeps what is not finite by name", () => {
  expect(JSON.parse(jsonOf({ a: Number.NaN, b: [1] }))).toEqual({ a: "NaN", b: [1] });
});
