// @vitest-environment jsdom
import { render, screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { useFocusReturn } from "./use-focus-return";

function Dialog() {
  useFocusReturn();
  return (
    <button type="button" data-testid="inside">
      Close
    </button>
  );
}

function Page({ isOpen }: { isOpen: boolean }) {
  return (
    <>
      <button type="button" data-testid="opener">
        Open
      </button>
      {isOpen ? <Dialog /> : null}
    </>
  );
}

test("focuses what opened a dialog that is removed when it closes", async () => {
  const { rerender } = render(<Page isOpen={false} />);
  screen.getByTestId("opener").focus();
  rerender(<Page isOpen />);
  screen.getByTestId("inside").focus();
  rerender(<Page isOpen={false} />);
  await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId("opener")));
});
