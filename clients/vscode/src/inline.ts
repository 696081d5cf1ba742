/** Results after the last line of the code that gave them: one line in the editor, everything in the hover. */

import * as vscode from "vscode";
import { movedLine } from "./pure/anchors";
import { lineText } from "./pure/inert";
import type { Inline, Tone } from "./pure/results";
import { showsInlineResults } from "./settings";
import { markdown } from "./surfaces";

/** A line that shows a result, as long as nobody edits it. */
export interface InlinePlace {
  show(inline: Inline): void;
  clear(): void;
}

interface Note {
  uri: string;
  line: number;
  lineText: string;
  inline: Inline;
  entry: number | undefined;
}

const COLORS: Record<Tone, vscode.ThemeColor> = {
  ok: new vscode.ThemeColor("editorCodeLens.foreground"),
  quiet: new vscode.ThemeColor("disabledForeground"),
  error: new vscode.ThemeColor("editorError.foreground"),
};

const MARKS: Record<Tone, string> = { ok: "→", quiet: "…", error: "✗" };

export class InlineResults implements vscode.Disposable {
  private readonly notes = new Set<Note>();
  private readonly decoration = vscode.window.createTextEditorDecorationType({
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });
  private readonly listening = vscode.Disposable.from(
    vscode.window.onDidChangeVisibleTextEditors((editors) => editors.forEach((editor) => this.draw(editor))),
    vscode.workspace.onDidChangeTextDocument((event) => this.follow(event)),
    vscode.workspace.onDidCloseTextDocument((document) => this.drop((note) => note.uri === document.uri.toString())),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("analystd.inlineResults")) this.drawAll();
    }),
  );

  /**
   * A place after `line`; what stood on the lines from `first` to it goes away. `entry` is the one in the Answers view.
   */
  place(document: vscode.TextDocument, first: number, line: number, entry?: number): InlinePlace {
    const uri = document.uri.toString();
    this.drop((note) => note.uri === uri && note.line >= first && note.line <= line);
    const lineText = document.lineAt(line).text;
    const note: Note = { uri, line, lineText, inline: { tone: "quiet", text: "", hover: "" }, entry };
    this.notes.add(note);
    return {
      show: (inline) => {
        note.inline = inline;
        if (this.notes.has(note)) this.drawAll(uri);
      },
      clear: () => this.drop((each) => each === note),
    };
  }

  /** The entry whose result stands in the line of the cursor, if one does. */
  entryAtCursor(): number | undefined {
    const editor = vscode.window.activeTextEditor;
    const uri = editor?.document.uri.toString();
    const line = editor?.selection.active.line;
    return [...this.notes].find((note) => note.uri === uri && note.line === line)?.entry;
  }

  clear(): void {
    this.drop(() => true);
  }

  dispose(): void {
    this.listening.dispose();
    this.decoration.dispose();
  }

  private drop(unwanted: (note: Note) => boolean): void {
    const dropped = [...this.notes].filter(unwanted);
    if (dropped.length === 0) return;
    for (const note of dropped) this.notes.delete(note);
    this.drawAll();
  }

  private follow({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    const uri = document.uri.toString();
    const notes = [...this.notes].filter((note) => note.uri === uri);
    if (contentChanges.length === 0 || notes.length === 0) return;
    const edits = contentChanges.map(({ range, text }) => ({ start: range.start, end: range.end, text }));
    for (const note of notes) {
      const line = movedLine(note.line, edits);
      const isSame = line !== null && line < document.lineCount && document.lineAt(line).text === note.lineText;
      if (isSame) note.line = line;
      else this.notes.delete(note);
    }
    this.drawAll(uri);
  }

  private drawAll(uri?: string): void {
    for (const editor of vscode.window.visibleTextEditors) {
      if (uri === undefined || editor.document.uri.toString() === uri) this.draw(editor);
    }
  }

  private draw(editor: vscode.TextEditor): void {
    const uri = editor.document.uri.toString();
    const notes = showsInlineResults() ? [...this.notes].filter((note) => note.uri === uri && note.inline.text) : [];
    editor.setDecorations(this.decoration, notes.map(drawn));
  }
}

function drawn({ line, inline }: Note): vscode.DecorationOptions {
  const end = Number.MAX_SAFE_INTEGER;
  return {
    range: new vscode.Range(line, end, line, end),
    ...(inline.hover && { hoverMessage: markdown(inline.hover) }),
    renderOptions: {
      after: {
        contentText: `${MARKS[inline.tone]} ${lineText(inline.text, 200)}`,
        color: COLORS[inline.tone],
        margin: "0 0 0 2.5em",
        fontStyle: inline.tone === "quiet" ? "italic" : "normal",
      },
    },
  };
}
