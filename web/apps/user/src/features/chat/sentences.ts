/** For screen readers a growing answer is told by sentence: here is what was finished since the last time. */
const END = /[。！？!?…]["'”’）)]?|[.:;][\s]|\n/g;

/** The part of `text` after `from` that ends with a finished sentence, and where it ends. */
export function finishedSentences(text: string, from: number): { spoken: string; until: number } {
  let until = from;
  END.lastIndex = from;
  for (let match = END.exec(text); match; match = END.exec(text)) until = match.index + match[0].length;
  return { spoken: plain(text.slice(from, until)), until };
}

function plain(markdown: string): string {
  return markdown.replace(/[*_`#>|~]+/g, "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").trim();
}
