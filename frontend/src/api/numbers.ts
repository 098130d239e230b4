import type { Num } from "./types";

/** The value as a number, including the strings "NaN", "Infinity" and "-Infinity". */
export const toNumber = (value: Num): number => (typeof value === "number" ? value : Number(value));
