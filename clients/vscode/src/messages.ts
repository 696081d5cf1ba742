/** The messages between the extension and its webviews. */

import type { ColumnProfile } from "./protocol";
import type { TableQuestion } from "./pure/question";
import type { Page } from "./pure/table";
import type { Entry } from "./pure/trail";

/** The purpose of long work: the visible rows, their number, or a column's profile. */
export type TableWork = "page" | "count" | "profile";

export type ToTable =
  | { type: "about"; isDelimited: boolean }
  | { type: "page"; page: Page; pageSize: number }
  | { type: "count"; numRows: number }
  | { type: "profile"; profile: ColumnProfile }
  | { type: "progress"; work: TableWork; percentage: number }
  | { type: "problem"; work: TableWork; message: string };

export type FromTable =
  | { type: "ask"; question: TableQuestion; offset: number | "end"; isFirst: boolean }
  | { type: "profile"; column: string }
  | { type: "cancel"; works: TableWork[] };

export type ToAnswers =
  | { type: "entry"; entry: Entry }
  | { type: "all"; entries: Entry[]; conversation: string | null }
  | { type: "conversation"; conversation: string | null }
  | { type: "reveal"; id: number };

export type FromAnswers =
  { type: "ready" } | { type: "ask"; prompt: string } | { type: "cancel"; id: number } | { type: "newConversation" };
