import { expect, test } from "vitest";
import { joinLog } from "./log-text";

const part = (offset: number, text: string, attempt = 1) => ({
  attempt,
  text,
  offset,
  next_offset: offset + text.length,
  size: offset + text.length,
});

test("appends what comes after", () => {
  const log = joinLog(joinLog(null, part(100, "one\n")), part(104, "two\n"));
  expect(log).toMatchObject({ text: "one\ntwo\n", start: 100, next: 108 });
});

test("starts over with another attempt", () => {
  expect(joinLog(joinLog(null, part(0, "old\n")), part(0, "new\n", 2))).toMatchObject({
    attempt: 2,
    text: "new\n",
  });
});
