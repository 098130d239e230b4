import { notifications } from "@mantine/notifications";
import { ApiError } from "@/api/client";

export const notify = (message: string) => notifications.show({ message, color: "teal", autoClose: 4000 });

/** Shows that an action failed, with the API's message and next step. */
export function notifyError(title: string, error: unknown) {
  const cause = error instanceof Error ? error.message : String(error);
  const nextStep = error instanceof ApiError ? error.nextStep : "";
  notifications.show({
    title,
    message: [cause, nextStep].filter(Boolean).join(" "),
    color: "red",
    autoClose: 10_000,
  });
}
