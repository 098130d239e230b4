import { expect, test } from "vitest";
import { placesOf } from "./module-places";

test("layer and kind are read from the names of several architectures", () => {
  const names = [
    "encoder.layer.3.attention.self.query",
    "encoder.layer.3.attention.output.dense",
    "encoder.layer.3.output.dense",
    "model.layers.12.mlp.down_proj",
    "decoder.block.0.layer.1.EncDecAttention.q",
    "module 17",
  ];
  expect(placesOf(names).map(({ stack, layer, kind }) => [stack, layer, kind])).toEqual([
    ["encoder", 3, "query"],
    ["encoder", 3, "attention output"],
    ["encoder", 3, "output"],
    ["", 12, "down_proj"],
    ["decoder", 0, "q"],
    ["", null, "module 17"],
  ]);
});
