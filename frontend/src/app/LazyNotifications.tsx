import { useNotifications } from "@mantine/notifications";
import { loadPart } from "@/components/server/load-part";
import { useLaterPart } from "@/components/server/use-later-part";

const loadList = async () => (await loadPart(() => import("./NotificationList"))).NotificationList;

/** Shows notifications. Those that are sent before its code is loaded wait in their store. */
export function LazyNotifications() {
  const List = useLaterPart(loadList, useNotifications().notifications.length > 0);
  return List && <List />;
}
