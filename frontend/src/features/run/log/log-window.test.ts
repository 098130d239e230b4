import { expect, test } from "vitest";
import { endOf, joinAfter, joinBefore, mostParts, startOf, windowOf } from "./log-window";

const part = (offset: number, text: string, attempt = 1, size = offset + text.length) => ({
  attempt,
  text,
  offset,
  next_offset: offset + text.length,
  size,
});
const textOf = (log: { pieces: { text: string }[] }) => log.pieces.map((piece) => piece.text).join("");

test("appends the next part, in one piece while it is small", () => {
  const log = joinAfter(joinAfter(null, part(100, "one\n")), part(104, "two\n"));
  expect(log.pieces).toEqual([{ start: 100, end: 108, text: "one\ntwo\n" }]);
  expect(log.size).toBe(108);
});

test("starts over with another attempt, and with a part that does not follow", () => {
  const log = windowOf(part(0, "old\n"));
  expect(textOf(joinAfter(log, part(0, "new\n", 2)))).toBe("new\n");
  expect(startOf(joinAfter(log, part(900, "far\n")))).toBe(900);
});

test("drops the start when the tail grows long", () => {
  let log = windowOf(part(0, `${"a".repeat(65_000)}\n`));
  for (let index = 0; index < mostParts + 3; index++)
    log = joinAfter(log, part(endOf(log), `${"b".repeat(65_000)}\n`));
  expect(log.pieces).toHaveLength(mostParts);
  expect(startOf(log)).toBe(4 * 65_001);
  expect(endOf(log)).toBe((mostParts + 4) * 65_001);
});

test("prepends the previous part, without its incomplete first line", () => {
  const log = windowOf(part(20, "third\n"));
  const joined = joinBefore(log, part(8, "ken\nsecond.\n"));
  expect(textOf(joined)).toBe("second.\nthird\n");
  expect(startOf(joined)).toBe(12);
});

test("counts bytes, not characters, when it drops an incomplete line", () => {
  const text = "é\nnext\n";
  const before = { attempt: 1, text, offset: 10, next_offset: 18, size: 30 };
  expect(startOf(joinBefore(windowOf(part(18, "end\n")), before))).toBe(13);
});

test("an empty part only updates the size", () => {
  const log = windowOf(part(0, "one\n"));
  expect(joinAfter(log, part(4, "", 1, 9))).toEqual({ ...log, size: 9 });
});
