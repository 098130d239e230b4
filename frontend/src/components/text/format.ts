/** Numbers and times in readable form. */

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const missing = "–";

/** 277,250 */
export const count = (value: number | null | undefined): string =>
  value === null || value === undefined ? missing : whole.format(value);

/** 277K */
export const shortCount = (value: number | null | undefined): string =>
  value === null || value === undefined ? missing : compact.format(value);

/** 0.5 as 50 %, 0.034 as 3.4 % */
export const share = (value: number): string =>
  `${value !== 0 && value < 0.0995 ? (100 * value).toFixed(1) : Math.round(100 * value)} %`;

/** 45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 86_400)
    return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** For estimates, rounded: 40 s, 4 min, 2 h 05 min */
export const roughly = (seconds: number): string =>
  seconds < 90
    ? `${Math.max(5, Math.round(seconds / 5) * 5)} s`
    : seconds < 3600
      ? `${Math.round(seconds / 60)} min`
      : duration(seconds);

/** now, 40 s ago, 5 min ago, 3 h ago, 4 d ago */
export function age(time: number, now: number): string {
  const s = now - time;
  if (s < 3) return "now";
  if (s < 60) return `${Math.round(s)} s ago`;
  if (s < 3600) return `${Math.round(s / 60)} min ago`;
  if (s < 86_400) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86_400)} d ago`;
}

export const dateTime = (time: number): string =>
  new Date(time * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const clock = (time: number): string => new Date(time * 1000).toLocaleTimeString("en-GB");

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 1 : 0)} ${units[unit]}`;
}

/** 0.8142, 3.2e-5, 12.5; NaN and infinities by name */
export function metric(value: number | string | null | undefined, digits = 4): string {
  if (value === null || value === undefined) return missing;
  if (typeof value === "string") return value;
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  return Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(digits);
}

/** A value of a configuration on one line. */
export function configValue(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (typeof value === "string") return value;
  if (typeof value === "number")
    return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
  return JSON.stringify(value);
}
