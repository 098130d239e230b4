/** Short names for the generated types. Nothing is declared here that the API already says. */
import type { components } from "./schema.gen";

type Shapes = components["schemas"];

export type Problem = Shapes["Problem"];
export type FieldProblem = Shapes["FieldProblemShape"];
export type RunStatus = Shapes["RunStatus"];
export type Phase = Shapes["Phase"];
export type RunSummary = Shapes["RunSummary"];
export type RunDetail = Shapes["RunDetail"];
export type RunPage = Shapes["RunPage"];
export type RunConfig = RunDetail["config"];
export type RunCreate = Shapes["RunCreate"];
export type MetricSummary = Shapes["MetricSummary"];
export type Plan = Shapes["Plan"];
export type DataPlan = Shapes["DataPlan"];
export type MethodSwitch = Shapes["MethodSwitch"];
export type SwitchedMethod = Shapes["SwitchedMethod"];
export type BudgetPoint = Shapes["BudgetPoint"];
export type Series = Shapes["Series"];
export type SeriesList = Shapes["SeriesList"];
export type RankHistory = Shapes["RankHistory"];
export type ComponentHistory = Shapes["ComponentHistory"];
export type Module = Shapes["Module"];
export type LedgerLine = Shapes["LedgerLine"];
export type LogPart = Shapes["LogPart"];
export type Comparison = Shapes["Comparison"];
export type Preset = Shapes["PresetShape"];
export type ModelInfo = Shapes["ModelShape"];
export type DatasetInfo = Shapes["DatasetShape"];
export type WorkerInfo = Shapes["WorkerShape"];
export type CheckpointInfo = Shapes["CheckpointShape"];
export type Remedy = Shapes["Remedy"];
export type Relative = Shapes["Relative"];
export type SteerAction = Shapes["SteerWish"]["action"];
export type Ghost = Shapes["Ghost"];
export type Health = Shapes["Health"];
export type HealthItem = Shapes["RunHealth"]["items"][number];
export type Prediction = Shapes["Prediction"];

/** A number, or its name where JSON has none ("NaN", "Infinity", "-Infinity"). */
export type Num = Series["values"][number];

/** A configuration while it is being written: any shape until the API has checked it. */
export type ConfigDraft = Record<string, unknown>;

interface Stored {
  seq: number;
  attempt: number;
  time: number;
}

/** The events of contract/events.py as readers see them; fields that are null are left out. */
export type RunEvent = Stored &
  (
    | {
        kind: "status";
        status: RunStatus;
        reason?: string;
        message?: string;
        next_step?: string;
        cause?: string;
        step?: number;
      }
    | { kind: "phase"; phase: Phase; step?: number }
    | { kind: "metrics"; step: number; values: Record<string, Num> }
    | { kind: "modules"; modules: Module[]; width: number; trained_parameters: number; total_steps: number }
    | {
        kind: "ranks";
        step: number;
        budget: number;
        live: number;
        threshold?: Num;
        pruning?: boolean;
        final?: boolean;
        modules: number;
        width: number;
        mask: string;
        scores: string;
        raw_scores?: string;
      }
    | {
        kind: "prune";
        step: number;
        budget: number;
        total: number;
        threshold: Num;
        final: boolean;
        pruned: ComponentChange[];
        regrown: ComponentChange[];
      }
    | { kind: "checkpoint"; step: number; size_bytes: number }
    | {
        kind: "artifact";
        name: "adapter" | "model";
        step: number;
        size_bytes: number;
        kept_parameters: number;
      }
    | { kind: "warning"; code: string; message: string; next_step?: string; step?: number }
    | { kind: "steer"; step: number; action: SteerAction; target_rank?: number; refused?: string }
    | { kind: "config"; why: "retry" | "edit"; changes: Record<string, [unknown, unknown]> }
  );

export type RanksEvent = Extract<RunEvent, { kind: "ranks" }>;

export interface ComponentChange {
  module: number;
  component: number;
  score: Num;
  order: number;
}
