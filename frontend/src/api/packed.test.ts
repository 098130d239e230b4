import { describe, expect, test } from "vitest";
import { fromFloat16, unpackFloat16, unpackMask, unpackUint16 } from "./packed";

const base64 = (bytes: number[]) => btoa(String.fromCharCode(...bytes));

/** numpy.packbits(bits, bitorder="little"), written out. */
function packbits(bits: number[]): string {
  const bytes = new Array<number>(Math.ceil(bits.length / 8)).fill(0);
  bits.forEach((bit, index) => {
    bytes[index >> 3] = (bytes[index >> 3] ?? 0) + bit * 2 ** (index % 8);
  });
  return base64(bytes);
}

describe("unpackMask", () => {
  test("reads the lowest bit first, across the borders of bytes and rows", () => {
    const bits = [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0];
    expect([...unpackMask(packbits(bits), 15)]).toEqual(bits);
  });

  test("matches numpy: [[1,1,0],[0,0,1]] is the byte 0b100011", () => {
    expect([...unpackMask(base64([0b100011]), 6)]).toEqual([1, 1, 0, 0, 0, 1]);
  });
});

describe("fromFloat16", () => {
  test.each([
    [0x0000, 0],
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ])("0x%s is %s", (bits, value) => {
    expect(fromFloat16(bits)).toBe(value);
  });
});

test("scores are little-endian", () => {
  expect([...unpackFloat16(base64([0x00, 0x3c, 0x00, 0xc0]), 2)]).toEqual([1, -2]);
});

test("ranks are little-endian, also above 255", () => {
  expect([...unpackUint16(base64([2, 0, 0, 1]), 2)]).toEqual([2, 256]);
});
