/** A failed request in words that say what to do next. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { t } from "@lingui/core/macro";

interface Problem {
  status: number;
  code: string;
  message: string;
  retryAfter?: number | undefined;
  fields?: readonly { message: string }[];
}

/** An app's words for the codes of its business. */
export type ProblemWords = Readonly<Record<string, MessageDescriptor>>;

let knownWords: ProblemWords = {};

/** An app brings the words for the codes of its business, once, at its start. */
export function learnProblemWords(words: ProblemWords): void {
  knownWords = words;
}

/** The app's words for a code, if it has any. */
export function wordsFor(code: string): string | undefined {
  const words = knownWords[code];
  return words ? i18n._(words) : undefined;
}

export function problemText(error: unknown): string {
  if (!isProblem(error)) return t`Something went wrong. Please try again.`;
  return wordsFor(error.code) ?? byStatus(error);
}

function byStatus(error: Problem): string {
  switch (error.status) {
    case 0:
      return error.code === "timeout"
        ? t`The server did not answer in time. Please try again.`
        : t`The server cannot be reached. Check your connection and try again.`;
    case 401:
      return t`Your sign-in has ended. Please sign in again.`;
    case 403:
      return t`You do not have permission to do this. Ask an administrator.`;
    case 404:
      return t`This no longer exists, or you cannot see it.`;
    case 429: {
      const seconds = Math.ceil(error.retryAfter ?? 30);
      return t`Too many tries. Please wait ${seconds} seconds.`;
    }
    case 503:
      return t`The service is briefly unavailable. Please try again in a moment.`;
    default:
      return ownWords(error);
  }
}

function ownWords(error: Problem): string {
  if (error.status >= 500) return t`The server had a problem. Please try again in a moment.`;
  const fields = (error.fields ?? []).map((field) => field.message).join(" ");
  return fields || error.message;
}

function isProblem(error: unknown): error is Problem {
  return error instanceof Error && "status" in error && "code" in error;
}
