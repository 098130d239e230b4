// @vitest-environment jsdom
import { expect, test } from "vitest";
import { ApiError, toApiError, unwrap } from "./client";

test("a problem keeps the API's message, next step and fields", () => {
  const fields = [{ field: "config.model.id", message: "is unknown", next_step: "Use minilm.", value: "x" }];
  const error = toApiError(422, {
    type: "about:blank",
    title: "Invalid input",
    status: 422,
    detail: "The model is unknown.",
    next_step: "Change it.",
    errors: fields,
  });
  expect(error).toMatchObject({
    status: 422,
    message: "The model is unknown.",
    nextStep: "Change it.",
    fields,
  });
});

test("a response that is not a problem still reports its status", () => {
  expect(toApiError(502, "<html>").message).toContain("502");
});

test("no response is status 0 and says what to check", async () => {
  const error = await unwrap(Promise.reject(new TypeError("Failed to fetch"))).catch(
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 0 });
});
