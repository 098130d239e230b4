import createClient from "openapi-fetch";
import type { paths } from "./schema.gen";
import { isFromProxy, link } from "./server-link";
import type { FieldProblem, Problem } from "./types";

/** A read takes milliseconds, or seconds for a very long run. An action may hash a model first. */
const readPatienceMs = 30_000;
const actPatienceMs = 120_000;

/**
 * fetch with a timeout: a request to a frozen server would never end.
 *
 * While the server is unreachable, reads fail at once, even pending ones. They are retried once it answers.
 */
export async function fetchFromServer(request: Request): Promise<Response> {
  const isRead = request.method === "GET";
  if (isRead && !link.get().isReachable) throw new TypeError("The server is unreachable.");
  const lost = new AbortController();
  const stopListening = link.subscribe(() => {
    if (isRead && !link.get().isReachable) lost.abort(new TypeError("The server is unreachable."));
  });
  const patience = AbortSignal.timeout(isRead ? readPatienceMs : actPatienceMs);
  try {
    const signal = AbortSignal.any([request.signal, patience, lost.signal]);
    const answer = await fetch(request, { signal });
    if (!isFromProxy(answer.status)) link.heard();
    return answer;
  } catch (cause) {
    if (!request.signal.aborted) void link.check();
    throw cause;
  } finally {
    stopListening();
  }
}

/** The one HTTP client: same origin, session cookie. */
export const http = createClient<paths>({ baseUrl: window.location.origin, fetch: fetchFromServer });

/** An error that the API returned. `message` and `nextStep` are the API's own text. */
export class ApiError extends Error {
  readonly status: number;
  readonly nextStep: string;
  readonly fields: FieldProblem[];

  constructor(status: number, message: string, nextStep = "", fields: FieldProblem[] = []) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.nextStep = nextStep;
    this.fields = fields;
  }
}

/** The server rejected the request, so retrying doesn't help. */
export const isRefusal = (error: Error): boolean =>
  error instanceof ApiError && error.status >= 400 && error.status < 500;

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Returns the data of a response, or throws an ApiError. */
export async function unwrap<T>(request: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await request;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(
      0,
      "The server does not respond.",
      "Check that `rankscope up` is running. This page reconnects by itself.",
    );
  }
  if (answer.response.ok) return answer.data as T;
  throw toApiError(answer.response.status, answer.error);
}

export function toApiError(status: number, body: unknown): ApiError {
  if (isProblem(body)) {
    return new ApiError(status, body.detail || body.title, body.next_step ?? "", body.errors ?? []);
  }
  return new ApiError(status, `The server answered with an error (HTTP ${status}).`, "See the server's log.");
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "title" in body && "detail" in body;
}
