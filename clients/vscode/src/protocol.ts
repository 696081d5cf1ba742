/** Names and shapes of analystd's own part of the wire; the daemon's `protocol.py` is the original. */

export const EVENT_METHOD = "analystd/event";

export const Command = {
  runAgent: "analystd.runAgent",
  execPython: "analystd.execPython",
  viewData: "analystd.viewData",
  resetSession: "analystd.resetSession",
  cancelRun: "analystd.cancelRun",
  listRuns: "analystd.listRuns",
  listQuarantine: "analystd.listQuarantine",
  restoreQuarantine: "analystd.restoreQuarantine",
  status: "analystd.status",
} as const;

/** One line of the journal; which further fields there are depends on `kind`. */
export interface RunEvent {
  seq: number;
  run_id: string | null;
  kind: string;
  at: number;
  client: string | null;
  /** Stays when a client connects again, also to another daemon. */
  client_id: string | null;
  session: string | null;
  text?: string;
  stream?: string;
  data?: MimeBundle;
  tool?: string;
  arguments?: Record<string, unknown>;
  ok?: boolean;
  seconds?: number;
  position?: number;
  run_kind?: string;
  title?: string;
  prompt?: string;
  code?: string;
  uri?: string | null;
  line?: number | null;
  status?: string;
  entry?: QuarantineEntry;
}

/** What was moved aside at one time; of `count` things the first ones are in `moved`. */
export interface QuarantineEntry {
  id: string;
  at: number;
  runs: string[];
  moved: { path: string; kind: string; size: number | null; trusted_by: string; reason: string }[];
  count: number;
}

export interface QuarantineList {
  entries: QuarantineEntry[];
  count: number;
}

/** What was put back; of a preview, what would be, and why it could not be. */
export interface RestoreResult {
  status: "preview" | "restored" | "discarded";
  entry: QuarantineEntry;
  files: { path: string; size: number }[];
  digest: string | null;
  problems: string[];
}

export type MimeBundle = Record<string, unknown>;

/** A place in a document, in LSP's shape. */
export interface Context {
  uri: string;
  range?: { start: Position; end: Position };
  text: string;
}

interface Position {
  line: number;
  character: number;
}

export interface Step {
  tool: string;
  arguments: Record<string, unknown>;
  ok: boolean;
  output: string;
  seconds: number;
}

export interface Usage {
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  seconds: number;
}

/** A number of an answer that stands in no output of its conversation; `start` and `end` count Unicode code points of the answer. */
export interface UnsupportedNumber {
  text: string;
  start: number;
  end: number;
}

export interface AgentResult {
  run_id: string;
  conversation: string;
  status: "done" | "cancelled" | "failed" | "limit";
  answer: string;
  steps: Step[];
  usage: Usage;
  unsupported?: UnsupportedNumber[];
  /** What a person should know of how the answer came about. */
  warnings?: string[];
  /** Why it failed. */
  error?: { kind: string; message: string; hint: string | null };
}

export interface PythonError {
  name: string;
  message: string;
  traceback: string[];
  line: number | null;
}

export interface PythonResult {
  run_id: string;
  status: "ok" | "error" | "interrupted" | "died" | "limit";
  execution_count: number | null;
  stdout: string;
  stderr: string;
  result: string | null;
  displays: MimeBundle[];
  error: PythonError | null;
  truncated: boolean;
  seconds: number;
}

export interface Column {
  name: string;
  type: string;
  /** What it is asked for by, where that is not its name. */
  address?: string;
}

/** What a row must meet; `value` is a list for `in`, and is left out for `missing` and `present`. */
export interface Condition {
  column: string;
  op: string;
  value?: Scalar | Scalar[];
}

export type Scalar = string | number | boolean | null;

export interface SortKey {
  column: string;
  descending: boolean;
}

/** What a column holds. Values are as in the cells: numbers where JSON holds them exactly, else text. */
export interface Profile {
  column: string;
  type: string;
  count: number;
  missing: number;
  strange: number;
  distinct: number | null;
  distinct_exact: boolean;
  min: Scalar;
  max: Scalar;
  mean: Scalar;
  std: Scalar;
  histogram: { edges: Scalar[]; counts: number[] } | null;
  top: { value: Scalar; count: number }[] | null;
  top_exact: boolean;
}

export interface ViewResult {
  operation: string;
  text: string;
  columns: Column[] | null;
  rows: unknown[][] | null;
  num_rows: number | null;
  num_columns: number | null;
  offset: number | null;
  warnings: string[];
  profiles?: Profile[] | null;
}

export interface RunSummary {
  run_id: string;
  kind: string;
  title: string;
  status: string;
}

/** What `initialize` says in `capabilities.experimental.analystd`. */
export interface Handshake {
  protocol: number;
  /** Not told, nor the two after it, in a window without folders before its first command. */
  desk?: string;
  workspace?: string;
  engine?: { kind: string; model: string };
  sandbox: { level: string; reason: string };
  seq?: number;
  client_id?: string;
}

/** The part of `analystd.status` that is shown. */
export interface DaemonStatus {
  version: string;
  pid: number;
  clients: { name: string; id: string; workspace: string | null }[];
  engine: { kind: string; model: string; loaded: boolean; note?: string | null; warning?: string | null };
  sandbox: { level: string; reason: string };
  memory_bytes?: number;
  log?: string;
  desks: { workspace: string; runs?: { run_id: string; title: string }[]; sessions?: Record<string, unknown>[] }[];
}
