import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { notifyError } from "@/components/feedback/toast";
import { bytes } from "@/components/text/format";
import { largestBytes, type Sending, sendFile } from "./upload-file";

/** The files that are being sent, and a function that sends more. */
export function useUploads(datasetId: string | null) {
  const client = useQueryClient();
  const [sending, setSending] = useState<(Sending & { key: number })[]>([]);

  function send(files: Iterable<File>) {
    for (const file of files) {
      if (file.size > largestBytes) {
        notifyError(
          `${file.name} is too large`,
          new Error(`It is ${bytes(file.size)}; at most ${bytes(largestBytes)} can be uploaded. Split it.`),
        );
        continue;
      }
      if (file.size === 0) {
        notifyError(`${file.name} can't be uploaded`, new Error("It is empty, or a folder."));
        continue;
      }
      const key = Date.now() + Math.random();
      const upload = sendFile(file, datasetId, (share) =>
        setSending((now) => now.map((one) => (one.key === key ? { ...one, share } : one))),
      );
      setSending((now) => [
        ...now,
        { key, name: file.name, size: file.size, share: 0, cancel: upload.cancel },
      ]);
      void upload.done
        .catch((error) => notifyError(`${file.name} was not uploaded`, error))
        .finally(() => {
          setSending((now) => now.filter((one) => one.key !== key));
          void client.invalidateQueries({ queryKey: ["datasets", "uploads"] });
        });
    }
  }

  return { sending, send };
}
