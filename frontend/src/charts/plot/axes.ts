/** Plotly's names of the axes of a pane. */
export const axesOf = (pane: number) =>
  pane === 0 ? { xaxis: "x", yaxis: "y" } : { xaxis: `x${pane + 1}`, yaxis: `y${pane + 1}` };
