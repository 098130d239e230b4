/** Which comparisons are shown, and therefore corrected together. The selection is in the address. */
export interface Selection {
  task?: string;
  budget?: number;
  variants?: string[];
}

export function selectionOf(params: URLSearchParams): Selection {
  const task = params.get("task");
  const budget = Number(params.get("budget") ?? Number.NaN);
  const variants = params.getAll("variant");
  return {
    ...(task ? { task } : {}),
    ...(Number.isFinite(budget) ? { budget } : {}),
    ...(variants.length ? { variants } : {}),
  };
}

export function paramsOf({ task, budget, variants = [] }: Selection): URLSearchParams {
  const params = new URLSearchParams();
  if (task) params.set("task", task);
  if (budget !== undefined) params.set("budget", String(budget));
  for (const variant of variants) params.append("variant", variant);
  return params;
}
