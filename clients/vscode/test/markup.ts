import type { Drawn } from "../src/pure/drawing";

/** Drawings as HTML, to be compared; text and values stand in it as they are. */
export function markup(...drawings: readonly Drawn[]): string {
  return drawings
    .map((drawn) => {
      if (typeof drawn === "string") return drawn;
      const attributes = Object.entries(drawn.attributes ?? {}).map(([name, value]) => ` ${name}="${value}"`);
      return `<${drawn.tag}${attributes.join("")}>${markup(...drawn.children)}</${drawn.tag}>`;
    })
    .join("");
}
