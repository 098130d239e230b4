/** The methods' names for a person, and what the page must know of them. The form takes everything else from the API. */
const names: Record<string, string> = {
  dynamic_rank: "Dynamic rank",
  lora: "LoRA",
  adalora: "AdaLoRA",
  eva: "EVA",
  lora_shrink: "LoRA, shrunk",
  sora: "SoRA",
  control: "Control",
  full: "Full",
};
export const methods = Object.keys(names);
export const methodName = (key: string): string => names[key] ?? key;

const pruning = ["dynamic_rank", "adalora", "lora_shrink", "sora"];
/** Components are pruned while it trains, so that there is a ledger. */
export const prunes = (method: string): boolean => pruning.includes(method);
