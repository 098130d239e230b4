// @vitest-environment jsdom
import { expect, test } from "vitest";
import { ApiError, toApiError, unwrap } from "./client";

test("a problem keeps the API's words, what to do, and its fields", () => {
  const fields = [{ field: "config.model.id", message: "is unknown", next_step: "Use minilm.", value: "x" }];
  const error = toApiError(422, {
    type: "about:blank",
    title: "Bad input",
    status: 422,
    detail: "It cannot work.",
    next_step: "Change it.",
    errors: fields,
  });
  expect(error).toMatchObject({ status: 422, message: "It cannot work.", nextStep: "Change it.", fields });
});

test("an answer that is no problem still says its status", () => {
  expect(toApiError(502, "<html>").message).toContain("502");
});

test("no answer at all is status 0 with what to check", async () => {
  const error = await unwrap(Promise.reject(new TypeError("Failed to fetch"))).catch(
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 0 });
});
