import { expect, test } from "vitest";
import { readSettings, writeSettings } from "./use-rank-settings";

test("an address shows the same again, and keeps what is not its own", () => {
  const params = new URLSearchParams("tab=ranks&step=420&colour=difference&order=kind&module=7");
  const settings = readSettings(params);
  expect(settings).toEqual({ at: 420, colouring: "difference", order: "kind", module: 7 });
  expect(writeSettings(new URLSearchParams("tab=ranks"), settings).toString()).toBe(params.toString());
});

test("what nobody chose is not in the address, and nonsense in it is not believed", () => {
  const plain = readSettings(new URLSearchParams("step=-3&colour=red&order=&module=x"));
  expect(plain).toEqual({ at: null, colouring: "rank", order: "layer", module: null });
  expect(writeSettings(new URLSearchParams("step=4&x=1"), plain).toString()).toBe("x=1");
});
