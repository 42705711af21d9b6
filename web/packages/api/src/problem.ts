/** What a failed request throws: one class, whose `code` the apps turn into words. */
import type { FieldProblem, ProblemDetails } from "./schema.ts";

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly fields: readonly FieldProblem[];
  readonly requestId: string | undefined;
  /** Seconds the server asks us to wait, from Retry-After. */
  readonly retryAfter: number | undefined;

  constructor(status: number, problem: ProblemDetails, retryAfter?: number, cause?: unknown) {
    super(problem.detail ?? problem.title ?? problem.code ?? `HTTP ${String(status)}`, { cause });
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.fields = problem.errors ?? [];
    this.requestId = problem.request_id;
    this.retryAfter = retryAfter;
  }

  /** True when another try may succeed without anything being changed. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

export function networkError(cause: unknown): ApiError {
  return new ApiError(0, { code: "network", detail: "The server cannot be reached." }, undefined, cause);
}

export function timeoutError(): ApiError {
  return new ApiError(0, { code: "timeout", detail: "The server did not answer in time." });
}

export async function problemOf(response: Response): Promise<ApiError> {
  let problem: ProblemDetails = {};
  try {
    problem = (await response.json()) as ProblemDetails;
  } catch {
    // A proxy's error page is not JSON; the status alone has to do.
  }
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return new ApiError(response.status, problem, Number.isFinite(seconds) ? seconds : undefined);
}
