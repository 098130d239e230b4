import { Suspense, useState } from "react";
import { lazyPart } from "@/components/server/load-part";
import type { ConfirmProps } from "./ConfirmDialog";

const ConfirmDialog = lazyPart(
  () => import("./ConfirmDialog"),
  (part) => part.ConfirmDialog,
);

/** Asks for confirmation before something is lost. The dialog's code is loaded when one is first opened. */
export function Confirm(props: ConfirmProps) {
  const [wasOpened, setWasOpened] = useState(false);
  if (props.opened && !wasOpened) setWasOpened(true);
  return (
    wasOpened && (
      <Suspense>
        <ConfirmDialog {...props} />
      </Suspense>
    )
  );
}
