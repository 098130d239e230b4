import { Code } from "@mantine/core";
import { Fragment } from "react";

/** Sentences from the API; text between backticks is shown as code. */
export function ApiText({ children }: { children: readonly (string | null | undefined)[] | string }) {
  const text = typeof children === "string" ? children : sentences(children);
  return text.split("`").map((part, index) => {
    const key = `${index}-${part}`;
    return index % 2 ? <Code key={key}>{part}</Code> : <Fragment key={key}>{part}</Fragment>;
  });
}

/** Joins sentences; the message of an unexpected error may lack its full stop. */
const sentences = (parts: readonly (string | null | undefined)[]): string =>
  parts
    .filter((part) => part != null && part !== "")
    .map((part, index, all) => (index === all.length - 1 || /[.!?]$/.test(part ?? "") ? part : `${part}.`))
    .join(" ");
