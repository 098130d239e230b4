/** Names of the axes of a pane, as Plotly counts them. */
export const axesOf = (pane: number) =>
  pane === 0 ? { xaxis: "x", yaxis: "y" } : { xaxis: `x${pane + 1}`, yaxis: `y${pane + 1}` };
