// The cartesian bundle ships no types; it is the same library with fewer traces.
declare module "plotly.js-cartesian-dist-min" {
  const plotly: typeof import("plotly.js-dist-min");
  export default plotly;
}
