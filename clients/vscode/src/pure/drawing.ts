/** Elements as plain data, for code without a document; `webview/build.ts` builds them, with all text as text. */

/** An element. The names of tags and attributes are ours; text and attributes' values may be foreign. */
export interface Drawing {
  tag: string;
  attributes?: Record<string, string>;
  children: readonly Drawn[];
}

export type Drawn = string | Drawing;

/** A drawing of an element. */
export function draw(tag: string, attributes: Record<string, string> = {}, ...children: Drawn[]): Drawing {
  return { tag, attributes, children };
}
