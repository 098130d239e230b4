import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { type CompareView, paramsOf, viewFrom } from "./view";

export type ChangeView = (changes: Partial<CompareView>) => void;

/** The view in the address, and how to change it. A change doesn't add to the history: Back leaves the page. */
export function useCompareView(): [CompareView, ChangeView] {
  const [params, setParams] = useSearchParams();
  const text = params.toString();
  const view = useMemo(() => viewFrom(new URLSearchParams(text)), [text]);
  const change = useCallback(
    (changes: Partial<CompareView>) =>
      setParams((before) => paramsOf({ ...viewFrom(before), ...changes }), {
        replace: true,
        preventScrollReset: true,
      }),
    [setParams],
  );
  return [view, change];
}
