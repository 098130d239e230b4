import { useEffect } from "react";
import { visibleText } from "@/charts/plot/plain-text";

export function useTitle(title: string) {
  useEffect(() => {
    const shown = visibleText(title).trim();
    document.title = shown ? `${shown} · RankScope` : "RankScope";
  }, [title]);
}
