// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { render } from "@testing-library/react";
import { expect, test } from "vitest";
import { ApiText } from "./ApiText";

test("text between backticks is code, and empty sentences are omitted", () => {
  const { container } = render(
    <MantineProvider>
      <ApiText>{["No worker is online.", null, "Start one with `rankscope worker`."]}</ApiText>
    </MantineProvider>,
  );
  expect(container.querySelector("code")?.textContent).toBe("rankscope worker");
  expect(container.textContent).toContain("No worker is online. Start one with rankscope worker.");
});

test("a message without a full stop gets one before the next sentence", () => {
  const { container } = render(
    <MantineProvider>
      <ApiText>{["The import failed: OSError: no such file", "Try again."]}</ApiText>
    </MantineProvider>,
  );
  expect(container.textContent).toContain("OSError: no such file. Try again.");
});
