import { expect, test } from "vitest";
import { readSettings, writeSettings } from "./use-rank-settings";

test("an address restores the view, and other parameters are kept", () => {
  const params = new URLSearchParams("tab=ranks&step=420&colour=difference&order=kind&module=7");
  const settings = readSettings(params);
  expect(settings).toEqual({ at: 420, colouring: "difference", order: "kind", module: 7 });
  expect(writeSettings(new URLSearchParams("tab=ranks"), settings).toString()).toBe(params.toString());
});

test("defaults are not in the address, and invalid values are ignored", () => {
  const plain = readSettings(new URLSearchParams("step=-3&colour=red&order=&module=x"));
  expect(plain).toEqual({ at: null, colouring: "rank", order: "layer", module: null });
  expect(writeSettings(new URLSearchParams("step=4&x=1"), plain).toString()).toBe("x=1");
});
