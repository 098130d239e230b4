/** Saves a file as a browser download. */
export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser reads the blob after the click has returned.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The content of a data: URL; the page's content security policy forbids fetching it. */
export function dataToBlob(address: string): Blob {
  const comma = address.indexOf(",");
  const head = address.slice(5, comma);
  const body = address.slice(comma + 1);
  const type = head.split(";")[0] ?? "";
  if (!head.endsWith("base64")) return new Blob([decodeURIComponent(body)], { type });
  return new Blob([Uint8Array.from(atob(body), (char) => char.charCodeAt(0))], { type });
}

/** A file name that is valid on every file system. */
export const fileName = (text: string): string =>
  text
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9.]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 120) || "rankscope";
