/** Elements of a page, built of plain data. */

import type { Drawn } from "../pure/drawing";

const HTML = "http://www.w3.org/1999/xhtml";
const SVG = "http://www.w3.org/2000/svg";

/** The node of a drawing: text is text, whatever it says. */
export function build(drawn: Drawn, space = HTML): Node {
  if (typeof drawn === "string") return document.createTextNode(drawn);
  const inside = drawn.tag === "svg" ? SVG : space;
  const made = document.createElementNS(inside, drawn.tag);
  for (const [name, value] of Object.entries(drawn.attributes ?? {})) made.setAttribute(name, value);
  for (const child of drawn.children) made.append(build(child, inside));
  return made;
}

/** Have an element hold these drawings, and nothing else. */
export function fill(element: Element, drawings: readonly Drawn[]): void {
  const made = document.createDocumentFragment();
  for (const drawn of drawings) made.append(build(drawn));
  element.replaceChildren(made);
}
