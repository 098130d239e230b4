// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
const invisible = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

/** The text without invisible characters that affect others: control characters and changes of direction. */
export const visibleText = (text: string): string => text.replace(invisible, " ");
