import createClient from "openapi-fetch";
import type { paths } from "./schema.gen";
import type { FieldProblem, Problem } from "./types";

/** The one HTTP client: same origin, session cookie. */
export const http = createClient<paths>({ baseUrl: window.location.origin });

/** What the API answered instead of data. `message` and `nextStep` are the API's own words. */
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

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer, or an ApiError. */
export async function unwrap<T>(request: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await request;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(
      0,
      "The server does not answer.",
      "Check that `rankscope up` is running; the page tries again by itself.",
    );
  }
  if (answer.response.ok) return answer.data as T;
  throw toApiError(answer.response.status, answer.error);
}

export function toApiError(status: number, body: unknown): ApiError {
  if (isProblem(body)) {
    return new ApiError(status, body.detail || body.title, body.next_step ?? "", body.errors ?? []);
  }
  return new ApiError(
    status,
    `The server answered with an error (HTTP ${status}).`,
    "Look at the server's log.",
  );
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "title" in body && "detail" in body;
}
