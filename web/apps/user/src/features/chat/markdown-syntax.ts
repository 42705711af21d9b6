/**
 * Which Markdown is understood: GitHub's, with emphasis that knows Chinese punctuation (`**粗体。**` is bold). The
 * usual plugins bring the way back to Markdown along, which nobody needs here and every browser would load.
 */
import { gfmFromMarkdown } from "mdast-util-gfm";
import { cjkFriendlyExtension } from "micromark-extension-cjk-friendly";
import { gfm } from "micromark-extension-gfm";
import type { Processor } from "unified";

/** Where the parser looks for its extensions. */
interface Settings {
  micromarkExtensions?: unknown[];
  fromMarkdownExtensions?: unknown[];
}

export function markdownSyntax(this: Processor): void {
  const settings = this.data() as Settings;
  settings.micromarkExtensions = [...(settings.micromarkExtensions ?? []), gfm(), cjkFriendlyExtension()];
  settings.fromMarkdownExtensions = [...(settings.fromMarkdownExtensions ?? []), gfmFromMarkdown()];
}
