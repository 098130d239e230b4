import { useSyncExternalStore } from "react";
import { type LinkState, link } from "@/api/server-link";

/** Whether the server answers, kept up to date. */
export const useLink = (): LinkState => useSyncExternalStore(link.subscribe, link.get);
