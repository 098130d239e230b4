import { useEffect } from "react";
import { visibleText } from "@/components/text/visible-text";

export function useTitle(title: string) {
  useEffect(() => {
    const shown = visibleText(title).trim();
    document.title = shown ? `${shown} · RankScope` : "RankScope";
  }, [title]);
}
