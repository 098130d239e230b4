/** Which metrics belong together, and what they are called. */

export interface MetricGroup {
  title: string;
  names: string[];
}

const titles: Record<string, string> = {
  train_loss: "Train loss",
  eval_loss: "Evaluation loss",
  eval_accuracy: "Evaluation accuracy",
  eval_mcc: "Evaluation MCC",
  learning_rate: "Learning rate",
  grad_norm: "Gradient norm",
  dem: "DEM regulariser",
  steps_per_second: "Steps per second",
  samples_per_second: "Samples per second",
  host_memory_bytes: "Memory of the host",
  process_memory_bytes: "Memory of the training process",
  cpu_percent: "CPU of the host",
};

export const metricTitle = (name: string): string => {
  const known = titles[name];
  if (known) return known;
  const gpu = /^gpu(\d+)_(memory_bytes|utilization_percent)$/.exec(name);
  if (gpu) return `GPU ${gpu[1]}: ${gpu[2] === "memory_bytes" ? "memory" : "utilisation"}`;
  return name;
};

const hardware = /^(host_memory_bytes|process_memory_bytes|cpu_percent|gpu\d+_.+)$/;
export const isHardware = (name: string): boolean => hardware.test(name);

const training = ["train_loss", "learning_rate", "grad_norm", "dem"];
const speed = ["steps_per_second", "samples_per_second"];

/** Groups in the order in which they are read; those without a metric are left out. */
export function metricGroups(names: readonly string[]): MetricGroup[] {
  const there = new Set(names.filter((name) => !isHardware(name)));
  const take = (wanted: (name: string) => boolean, order: readonly string[] = []) => {
    const taken = [...there].filter(wanted).sort((one, other) => place(order, one, other));
    for (const name of taken) there.delete(name);
    return taken;
  };
  return [
    { title: "Training", names: take((name) => training.includes(name), training) },
    { title: "Evaluation", names: take((name) => name.startsWith("eval_"), ["eval_accuracy", "eval_loss"]) },
    { title: "Speed", names: take((name) => speed.includes(name), speed) },
    { title: "Other", names: take(() => true) },
  ].filter((group) => group.names.length > 0);
}

function place(order: readonly string[], one: string, other: string): number {
  const at = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  return at(one) - at(other) || one.localeCompare(other);
}
