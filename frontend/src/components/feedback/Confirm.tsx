import { loadPart } from "@/components/server/load-part";
import { useLaterPart } from "@/components/server/use-later-part";
import type { ConfirmProps } from "./ConfirmDialog";

const loadDialog = async () => (await loadPart(() => import("./ConfirmDialog"))).ConfirmDialog;

/** Asks before something is lost. */
export function Confirm(props: ConfirmProps) {
  const Dialog = useLaterPart(loadDialog, props.opened);
  return Dialog && <Dialog {...props} />;
}
