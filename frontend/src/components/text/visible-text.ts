// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
const invisible = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

/** The text without characters that are not seen but change what is: controls, and changes of direction. */
export const visibleText = (text: string): string => text.replace(invisible, " ");
