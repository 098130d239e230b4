import { useCallback, useEffect, useRef, useState } from "react";
import { useLocation, useSearchParams } from "react-router";
import type { ModuleOrder } from "@/charts/heatmap/module-grid";
import { type Colouring, colourings } from "@/charts/heatmap/rank-values";

/** The view of the Ranks tab. It is kept in the address, so that a link shows the same. */
export interface RankSettings {
  /** Step of the snapshot; null follows the newest. */
  at: number | null;
  colouring: Colouring;
  order: ModuleOrder;
  /** Index of the module whose drawer is open. */
  module: number | null;
}

const orders: readonly ModuleOrder[] = ["layer", "kind", "rank"];
/**
 * A step enters the address after a pause: browsers reject hundreds of changes in a row. A choice enters it at once, so that
 * a reload right after it keeps it.
 */
const restMs = 300;

export function readSettings(params: URLSearchParams): RankSettings {
  return {
    at: wholeNumber(params.get("step")),
    colouring: colourings.find((one) => one === params.get("colour")) ?? "rank",
    order: orders.find((one) => one === params.get("order")) ?? "layer",
    module: wholeNumber(params.get("module")),
  };
}

/** Keeps the other parameters of the address; omits defaults. */
export function writeSettings(params: URLSearchParams, settings: RankSettings): URLSearchParams {
  const next = new URLSearchParams(params);
  const put = (name: string, value: string | null) =>
    value === null ? next.delete(name) : next.set(name, value);
  put("step", settings.at === null ? null : String(settings.at));
  put("colour", settings.colouring === "rank" ? null : settings.colouring);
  put("order", settings.order === "layer" ? null : settings.order);
  put("module", settings.module === null ? null : String(settings.module));
  return next;
}

export function useRankSettings(): [RankSettings, (change: Partial<RankSettings>) => void] {
  const [params, setParams] = useSearchParams();
  const [settings, setSettings] = useState(() => readSettings(params));
  const { pathname } = useLocation();
  const rendered = useRef({ pathname, setParams });
  rendered.current = { pathname, setParams };
  const before = useRef(settings);
  useEffect(() => {
    const write = () => {
      const { pathname: here, setParams: go } = rendered.current;
      // The address is ahead of what is rendered while another tab or page loads: writing the rendered one would go back.
      if (window.location.pathname !== here) return;
      const now = new URLSearchParams(window.location.search);
      const next = writeSettings(now, settings);
      if (next.toString() !== now.toString()) go(next, { replace: true, preventScrollReset: true });
    };
    const { colouring, order, module } = before.current;
    before.current = settings;
    if (settings.colouring !== colouring || settings.order !== order || settings.module !== module) {
      write();
      return;
    }
    const timer = setTimeout(write, restMs);
    return () => clearTimeout(timer);
  }, [settings]);
  const change = useCallback(
    (part: Partial<RankSettings>) => setSettings((before) => ({ ...before, ...part })),
    [],
  );
  return [settings, change];
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,12}$/.test(text) ? Number(text) : null;
}
