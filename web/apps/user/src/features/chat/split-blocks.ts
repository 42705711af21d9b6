/**
 * Cuts Markdown into blocks that mean the same alone as together, so that a growing answer lays out only its last
 * block again. A cut is made at a blank line outside a code fence before a line that begins a block of its own.
 */
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** A line that continues what stands above it even after a blank line: a list's next item or its indented part. */
const CONTINUES = /^(\s|[-*+] |\d{1,9}[.)] )/;
/** A definition is used from anywhere in the text, so such a text stays whole. */
const DEFINITION = /^ {0,3}\[[^\]]+\]:\s/m;

export function splitBlocks(markdown: string): string[] {
  if (DEFINITION.test(markdown)) return [markdown];
  const blocks: string[] = [];
  let lines: string[] = [];
  let fence: string | undefined;
  let afterBlank = false;
  for (const line of markdown.split("\n")) {
    if (fence === undefined && afterBlank && lines.length > 0 && line.trim() !== "" && !CONTINUES.test(line)) {
      blocks.push(lines.join("\n"));
      lines = [];
    }
    fence = fenceAfter(fence, line);
    afterBlank = line.trim() === "";
    lines.push(line);
  }
  if (lines.join("").trim() !== "") blocks.push(lines.join("\n"));
  return blocks;
}

function fenceAfter(fence: string | undefined, line: string): string | undefined {
  const mark = FENCE.exec(line)?.[1];
  if (mark === undefined) return fence;
  if (fence === undefined) return mark;
  const closes = mark.startsWith(fence) && line.trim() === mark;
  return closes ? undefined : fence;
}
