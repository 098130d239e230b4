import { ApiError, toApiError } from "@/api/client";

export const largestBytes = 2_000_000_000;

export interface Sending {
  name: string;
  size: number;
  /** From 0 to 1. */
  share: number;
  cancel: () => void;
}

/** Sends a file as the request's body. fetch can't report how much has been sent. */
export function sendFile(
  file: File,
  datasetId: string | null,
  onProgress: (share: number) => void,
): { done: Promise<void>; cancel: () => void } {
  const request = new XMLHttpRequest();
  const done = new Promise<void>((resolve, reject) => {
    const query = new URLSearchParams({ name: file.name, ...(datasetId ? { dataset_id: datasetId } : {}) });
    request.open("POST", `/api/v1/datasets/uploads?${query}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    request.onload = () =>
      request.status < 300 ? resolve() : reject(toApiError(request.status, parsed(request.responseText)));
    request.onerror = () =>
      reject(
        new ApiError(0, "The connection was lost during the upload.", "Nothing was stored. Upload it again."),
      );
    request.onabort = () => resolve();
    request.send(file);
  });
  return { done, cancel: () => request.abort() };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
