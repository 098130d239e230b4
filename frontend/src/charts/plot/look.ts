import { useComputedColorScheme } from "@mantine/core";

export const fontFamily =
  "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', Arial, sans-serif";

/** The colours of figures. Figures take a look and do not depend on the theme. */
export interface Look {
  isDark: boolean;
  ink: string;
  muted: string;
  grid: string;
  surface: string;
  /** A module at rank 0: grey in both themes, never a colour of the scale. */
  empty: string;
  emptyInk: string;
  alarm: string;
  /** Distinguishable with the common kinds of colour blindness, and by lightness. */
  palette: readonly string[];
}

export const lightLook: Look = {
  isDark: false,
  ink: "#1b2733",
  muted: "#5b6875",
  grid: "#e7ebef",
  surface: "#ffffff",
  empty: "#e3e6ea",
  emptyInk: "#8b95a0",
  alarm: "#c92a2a",
  palette: ["#1763a6", "#d9580d", "#238046", "#8a3ab9", "#b3235f", "#0b7285", "#8a6d00", "#495057"],
};

export const darkLook: Look = {
  isDark: true,
  ink: "#e4e9ee",
  muted: "#9aa7b4",
  grid: "#2c333b",
  surface: "#1a1e24",
  empty: "#3a4048",
  emptyInk: "#858f9a",
  alarm: "#ff8787",
  palette: ["#6cb8f6", "#ffa25e", "#7fdc9b", "#d9a2f5", "#f79ac0", "#5fd3e3", "#f2d25c", "#c3cad1"],
};

export const useLook = (): Look => (useComputedColorScheme("light") === "dark" ? darkLook : lightLook);

export const colourOf = (look: Look, index: number): string =>
  look.palette[index % look.palette.length] ?? look.ink;
