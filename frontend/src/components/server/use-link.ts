import { useSyncExternalStore } from "react";
import { type LinkState, link } from "@/api/server-link";

/** The current state of the connection to the server. */
export const useLink = (): LinkState => useSyncExternalStore(link.subscribe, link.get);
