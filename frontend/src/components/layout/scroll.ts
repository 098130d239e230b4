/** A region that scrolls must be reachable by keyboard: then the arrow keys scroll it. */
export const scrolledByKeys = { tabIndex: 0 };
