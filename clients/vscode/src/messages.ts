/** What the extension and its webviews send each other. */

import type { Page } from "./pure/table";
import type { Entry } from "./pure/trail";

export type ToTable =
  | { type: "page"; page: Page; pageSize: number }
  | { type: "count"; numRows: number }
  | { type: "problem"; message: string };

export type FromTable = { type: "ready"; offset: number } | { type: "load"; offset: number } | { type: "loadEnd" };

export type ToAnswers =
  | { type: "entry"; entry: Entry }
  | { type: "all"; entries: Entry[]; conversation: string | null }
  | { type: "conversation"; conversation: string | null }
  | { type: "reveal"; id: number };

export type FromAnswers =
  { type: "ready" } | { type: "ask"; prompt: string } | { type: "cancel"; id: number } | { type: "newConversation" };
