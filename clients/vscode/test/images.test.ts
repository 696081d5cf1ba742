import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { images } from "../src/pure/images";

const PNG = Buffer.from("89504e470d0a1a0a0000000d4948445200000140000000a00802000000", "hex").toString("base64");
const JPEG = Buffer.from("ffd8ffe000104a464946", "hex").toString("base64");
const GIF = Buffer.from("GIF89a\x01\x00\x01\x00").toString("base64");

function shown(type: string, data: unknown): string[] {
  return images([{ [type]: data, "text/plain": "<Figure>" }]);
}

describe("an image", () => {
  test("of each type is shown", () => {
    assert.deepEqual(shown("image/png", PNG), [`data:image/png;base64,${PNG}`]);
    assert.deepEqual(shown("image/jpeg", JPEG), [`data:image/jpeg;base64,${JPEG}`]);
    assert.deepEqual(shown("image/gif", GIF), [`data:image/gif;base64,${GIF}`]);
  });
  test("may be broken into lines", () => {
    assert.deepEqual(shown("image/png", `${PNG.slice(0, 20)}\n${PNG.slice(20)}\n`), [`data:image/png;base64,${PNG}`]);
  });
  test("is the best one that is whole", () => {
    assert.deepEqual(images([{ "image/png": "no", "image/jpeg": JPEG }]), [`data:image/jpeg;base64,${JPEG}`]);
  });
});

describe("no image is", () => {
  const cases: [string, string, unknown][] = [
    ["what ends the link", "image/png", `${PNG})![x](https://host/leak`],
    ["a link alone", "image/png", "AAAA)![x](https://host/leak"],
    ["a quotation mark", "image/png", `${PNG}" onerror="x()`],
    ["another alphabet", "image/png", PNG.replace(/.$/, "_")],
    ["padding in the middle", "image/png", `AAA=${PNG}`],
    ["a length that base64 does not have", "image/png", PNG.slice(0, -1)],
    ["another type than it says", "image/png", JPEG],
    ["HTML", "image/png", Buffer.from("<html><script>x()</script>").toString("base64")],
    ["nothing", "image/png", ""],
    ["no text", "image/png", { data: PNG }],
    ["of a type that is not known", "image/x-icon", PNG],
    ["longer than is shown", "image/png", PNG + "A".repeat(12_000_000)],
    ["no SVG", "image/svg+xml", "<html><svg></svg></html>"],
    ["an SVG that defines entities", "image/svg+xml", '<!DOCTYPE svg [<!ENTITY a "aa">]><svg>&a;</svg>'],
    ["an SVG that is too long", "image/svg+xml", `<svg>${" ".repeat(2_000_000)}</svg>`],
  ];
  for (const [name, type, data] of cases) test(name, () => assert.deepEqual(shown(type, data), []));
});

test("an SVG as matplotlib writes it is shown", () => {
  const doctype =
    '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">';
  const svg = `<?xml version="1.0" encoding="utf-8" standalone="no"?>\n${doctype}\n<!-- a > b -->\n<svg></svg>`;
  assert.equal(shown("image/svg+xml", svg).length, 1);
});

test("text that is meant to take for ever does not", () => {
  const started = performance.now();
  for (const text of ["<!-- -->".repeat(200_000), "<!--".repeat(400_000), "<?xml ".repeat(300_000)]) {
    assert.deepEqual(shown("image/svg+xml", text), []);
  }
  assert.ok(performance.now() - started < 2000);
});

test("an SVG is base64, so that nothing of it is Markdown or HTML", () => {
  const svg = '<?xml version="1.0"?>\n<!-- a -->\n<svg xmlns="http://www.w3.org/2000/svg"><text>)![x](é)</text></svg>';
  const [uri = ""] = shown("image/svg+xml", svg);
  assert.match(uri, /^data:image\/svg\+xml;base64,[A-Za-z0-9+/=]+$/);
  assert.equal(Buffer.from(uri.slice(uri.indexOf(",") + 1), "base64").toString(), svg);
});
