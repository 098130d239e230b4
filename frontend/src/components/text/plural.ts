import { count } from "./format";

const rules = new Intl.PluralRules("en");

/** 1 run, 2 runs, 1,000 runs */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${rules.select(value) === "one" ? one : many}`;
