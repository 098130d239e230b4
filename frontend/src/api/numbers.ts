import type { Num } from "./types";

/** A number again; "NaN", "Infinity" and "-Infinity" become what they say. */
export const toNumber = (value: Num): number => (typeof value === "number" ? value : Number(value));
