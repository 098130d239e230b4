/** How values of a metric are written: shares in hundredths ("points"). */
export interface Unit {
  factor: number;
  digits: number;
  name: string;
}

export const unitOf = ({ in_points, title }: { in_points: boolean; title: string }): Unit =>
  in_points ? { factor: 100, digits: 2, name: "points" } : { factor: 1, digits: 4, name: title };

export const written = (value: number | null | undefined, { factor, digits }: Unit): string =>
  value === null || value === undefined ? "–" : (value * factor).toFixed(digits);

/** +0.24, −0.15: the sign does not depend on colour alone. */
export function signedText(value: number | null | undefined, unit: Unit): string {
  const text = written(value, unit);
  if (value === null || value === undefined || Number(text) === 0) return text.replace("-", "");
  return value > 0 ? `+${text}` : text.replace("-", "−");
}

/** 0.013, 0.0004, < 0.0001 */
export const pText = (p: number | null): string =>
  p === null ? "–" : p < 0.0001 ? "< 0.0001" : p.toPrecision(2);
