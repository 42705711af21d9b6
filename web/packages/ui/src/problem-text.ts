/** A failed request in words that say what to do next; a feature words its own codes before it asks here. */
import { t } from "@lingui/core/macro";

interface Problem {
  status: number;
  code: string;
  message: string;
  retryAfter?: number | undefined;
  fields?: readonly { message: string }[];
}

export function problemText(error: unknown): string {
  if (!isProblem(error)) return t`Something went wrong. Please try again.`;
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
