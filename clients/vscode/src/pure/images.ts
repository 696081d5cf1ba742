/** Images of displays as `data:` URIs, which are checked: a program may put anything there. */

import type { MimeBundle } from "../protocol";

/** The longest image that is shown, in characters of base64. */
const MAX_CHARACTERS = 12_000_000;
const MAX_SVG_CHARACTERS = 2_000_000;

/** How a file of each type begins, as text of one character a byte; the better types first. */
const BEGINNINGS: Record<string, (head: string) => boolean> = {
  "image/png": (head) => head.startsWith("\x89PNG\r\n\x1a\n"),
  "image/jpeg": (head) => head.startsWith("\xff\xd8\xff"),
  "image/gif": (head) => /^GIF8[79]a/.test(head),
  "image/webp": (head) => /^RIFF[^]{4}WEBP/.test(head),
};

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** What may stand before the root of an SVG: how it begins, and how it ends. */
const BEFORE_ROOT: readonly [RegExp, string][] = [
  [/^<\?xml\s/, "?>"],
  [/^<!--/, "-->"],
  [/^<!DOCTYPE\s[^[>]*>/i, ">"],
];
const MAX_BEFORE_ROOT = 20;

/** The best image of each display that has one. */
export function images(displays: readonly MimeBundle[]): string[] {
  return displays.flatMap((display) => imageOf(display) ?? []);
}

function imageOf(display: MimeBundle): string | null {
  for (const type of Object.keys(BEGINNINGS)) {
    const uri = typeof display[type] === "string" ? pictureUri(type, display[type]) : null;
    if (uri !== null) return uri;
  }
  const svg = display["image/svg+xml"];
  return typeof svg === "string" ? svgUri(svg) : null;
}

/** The image's URI; null for what is no base64, too long, or no image of that type. */
function pictureUri(type: string, data: string): string | null {
  if (data.length > MAX_CHARACTERS) return null;
  const base64 = data.replace(/[ \t\r\n]+/g, "");
  if (base64.length % 4 !== 0 || !BASE64.test(base64)) return null;
  return BEGINNINGS[type]?.(atob(base64.slice(0, 32))) ? `data:${type};base64,${base64}` : null;
}

/** The SVG's URI, for an `img` alone, in which it runs nothing and loads nothing; null for what is none, or defines entities. */
function svgUri(svg: string): string | null {
  if (svg.length > MAX_SVG_CHARACTERS || !isSvg(svg) || /<!ENTITY/i.test(svg)) return null;
  const bytes = new TextEncoder().encode(svg);
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192) pieces.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return `data:image/svg+xml;base64,${btoa(pieces.join(""))}`;
}

/** Whether the root is that of an SVG. Cut piece by piece: one pattern for all would take for ever on some text. */
function isSvg(text: string): boolean {
  let rest = text.replace(/^\ufeff/, "").trimStart();
  for (let count = 0; count < MAX_BEFORE_ROOT; count++) {
    const end = BEFORE_ROOT.find(([beginning]) => beginning.test(rest.slice(0, 500)))?.[1];
    if (end === undefined) return /^<svg[\s>/]/.test(rest);
    const at = rest.indexOf(end);
    if (at === -1) return false;
    rest = rest.slice(at + end.length).trimStart();
  }
  return false;
}

/** The width that the header of a PNG gives, in pixels; null for another kind of image. */
export function pngWidth(image: string): number | null {
  const data = /^data:image\/png;base64,(.{32})/.exec(image)?.[1];
  if (data === undefined) return null;
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new DataView(bytes.buffer).getUint32(16);
}
