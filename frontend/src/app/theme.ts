import { createTheme, type MantineColorsTuple } from "@mantine/core";
import { fontFamily } from "@/charts/plot/look";

/** The blue of the rank scale. */
const brand: MantineColorsTuple = [
  "#eaf5fb",
  "#d5e8f3",
  "#a6cfe6",
  "#74b5d9",
  "#4a9fcd",
  "#3091c7",
  "#1d7fb5",
  "#13699a",
  "#0b5680",
  "#063f60",
];

/** Bluish greys for inputs and cards; index 2 is dimmed text, 7 the cards. */
const dark: MantineColorsTuple = [
  "#d3dae1",
  "#b9c3cd",
  "#9aa7b4",
  "#6f7b88",
  "#323a43",
  "#2a313a",
  "#22282f",
  "#1a1e24",
  "#14171c",
  "#0e1114",
];

export const theme = createTheme({
  primaryColor: "brand",
  primaryShade: 7,
  colors: { brand, dark },
  fontFamily,
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace",
  defaultRadius: "sm",
  headings: { fontFamily, fontWeight: "650" },
  respectReducedMotion: true,
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "sm" } },
    // An animated width is laid out and painted sixty times a second, all the time while a run trains.
    Progress: { defaultProps: { transitionDuration: 0 } },
    ProgressRoot: { defaultProps: { transitionDuration: 0 } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Tooltip: { defaultProps: { withArrow: true, openDelay: 250, multiline: true, maw: 320 } },
    Table: { defaultProps: { verticalSpacing: 6, horizontalSpacing: "sm" } },
  },
});
