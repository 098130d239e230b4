import { Code } from "@mantine/core";
import { Fragment } from "react";

/** Text from the API; text between backticks is shown as code. */
export function ApiText({ children }: { children: readonly (string | null | undefined)[] | string }) {
  const text = typeof children === "string" ? children : children.filter(Boolean).join(" ");
  return text.split("`").map((part, index) => {
    const key = `${index}-${part}`;
    return index % 2 ? <Code key={key}>{part}</Code> : <Fragment key={key}>{part}</Fragment>;
  });
}
