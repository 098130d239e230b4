/** Hands a file to the person, as the browser saves downloads. */
export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser reads the blob after the click has returned.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The bytes of a data: address; fetching one is against the page's content security policy. */
export function dataToBlob(address: string): Blob {
  const comma = address.indexOf(",");
  const head = address.slice(5, comma);
  const body = address.slice(comma + 1);
  const type = head.split(";")[0] ?? "";
  if (!head.endsWith("base64")) return new Blob([decodeURIComponent(body)], { type });
  return new Blob([Uint8Array.from(atob(body), (char) => char.charCodeAt(0))], { type });
}

/** A name that every file system takes. */
export const fileName = (text: string): string =>
  text
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9.]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 120) || "rankscope";
