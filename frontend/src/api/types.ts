/** Short names for the generated types. Nothing that the API describes is declared again here. */
import type { components } from "./schema.gen";

type Shapes = components["schemas"];

export type Problem = Shapes["Problem"];
export type FieldProblem = Shapes["FieldProblemShape"];
export type RunStatus = Shapes["RunStatus"];
export type Phase = Shapes["Phase"];
export type RunSummary = Shapes["RunSummary"];
export type RunDetail = Shapes["RunDetail"];
export type RunTable = Shapes["RunTable"];
export type TableRow = Shapes["TableRow"];
export type TableChanges = Shapes["TableChanges"];
export type Sparkline = Shapes["SparklineShape"];
export type RunGroups = Shapes["RunGroups"];
export type RunGroup = Shapes["RunGroup"];
export type RunField = Shapes["FieldShape"];
export type SavedView = Shapes["SavedViewShape"];
export type RunConfig = RunDetail["config"];
export type RunCreate = Shapes["RunCreate"];
export type MetricSummary = Shapes["MetricSummary"];
export type Plan = Shapes["Plan"];
export type DataPlan = Shapes["DataPlan"];
export type PreflightChecks = Shapes["PreflightShape"];
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
export type Caution = Comparison["cautions"][number];
export type ComparedCurves = Shapes["ComparedCurves"];
export type RankDifference = Shapes["RankDifferenceShape"];
export type MethodInfo = Shapes["MethodShape"];
export type MetricInfo = Shapes["TaskShape"]["metrics"][number];
export type ExperimentVerdict = Shapes["ExperimentVerdict"];
export type Preset = Shapes["PresetShape"];
export type ModelInfo = Shapes["ModelShape"];
export type ModelModule = Shapes["ModuleShape"];
export type ModelDownload = Shapes["DownloadShape"];
export type DataDownload = Shapes["DataDownloadShape"];
export type DatasetInfo = Shapes["DatasetShape"];
export type TokenRows = Shapes["TokenRows"];
export type TokenRow = Shapes["TokenRow"];
export type TokenSequence = Shapes["TokenSequence"];
export type TokenLengths = Shapes["TokenLengths"];
export type DatasetDetail = Shapes["DatasetDetail"];
export type DataProfile = Shapes["SetProfile"];
export type DataUpload = Shapes["UploadShape"];
export type ReadOptions = Shapes["ReadOptions"];
export type WorkerInfo = Shapes["WorkerShape"];
export type CheckpointInfo = Shapes["CheckpointShape"];
export type Remedy = Shapes["Remedy"];
export type Relative = Shapes["Relative"];
export type SteerAction = Shapes["SteerRequest"]["action"];
export type Ghost = Shapes["Ghost"];
export type Health = Shapes["Health"];
export type HealthItem = Shapes["RunHealth"]["items"][number];
export type RunResults = Shapes["RunResults"];
export type Prediction = Shapes["Prediction"];

export type ExperimentSummary = Shapes["ExperimentSummary"];
export type ExperimentDetail = Shapes["ExperimentDetail"];
export type ExperimentStatus = Shapes["ExperimentStatus"];
export type Answer = Shapes["Answer"];
export type VariantComparison = Shapes["VariantComparison"];
export type CollapsedTrial = Shapes["CollapsedTrial"];
export type Collapse = CollapsedTrial["reason"];
export type Verdict = Shapes["VariantComparison"]["verdict"];
export type Chain = Shapes["Chain"];
export type ExperimentCell = Shapes["Cell"];
export type RankAgreement = Shapes["RankAgreement"];
export type SweepSummary = Shapes["SweepSummary"];
export type SweepDetail = Shapes["SweepDetail"];
export type SweepStatus = Shapes["SweepStatus"];
export type SweepVerdict = Shapes["SweepVerdict"];
export type SweepExtension = Shapes["SweepExtension"];
export type SweepPoint = Shapes["PointShape"];
export type SweepTrial = Shapes["SweepTrialShape"];
export type SweepAnalysis = Shapes["SweepAnalysis"];
export type Leaderboard = Shapes["Leaderboard"];

/** A number, or its name where JSON has none ("NaN", "Infinity", "-Infinity"). */
export type Num = Series["values"][number];

/** A configuration that is being edited: any shape until the API has checked it. */
export type ConfigDraft = Record<string, unknown>;

/** One event of a run from history or stream, discriminated by `kind`. Fields that are null are omitted. */
export type RunEvent = Shapes["StoredEvent"];
export type EventOf<Kind extends RunEvent["kind"]> = Extract<RunEvent, { kind: Kind }>;
export type RanksEvent = EventOf<"ranks">;
export type ComponentChange = Shapes["ComponentChange"];
/** The stream's events besides those of the run. */
export type Pulse = Shapes["Pulse"];
export type StreamEnd = Shapes["StreamEnd"];
