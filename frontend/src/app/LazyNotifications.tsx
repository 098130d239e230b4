import { useNotifications } from "@mantine/notifications";
import { Suspense, useEffect, useState } from "react";
import { lazyPart } from "@/components/server/load-part";

const NotificationList = lazyPart(
  () => import("./NotificationList"),
  (part) => part.NotificationList,
);

const afterMs = 5_000;

/**
 * Displays notifications. Loaded after the first paint, but soon, because the server may become unreachable.
 * Notifications that are sent before that wait in their store.
 */
export function LazyNotifications() {
  const [isLater, setIsLater] = useState(false);
  const hasSome = useNotifications().notifications.length > 0;
  useEffect(() => {
    const timer = setTimeout(() => setIsLater(true), afterMs);
    return () => clearTimeout(timer);
  }, []);
  return (
    (isLater || hasSome) && (
      <Suspense>
        <NotificationList />
      </Suspense>
    )
  );
}
