import type { Figure } from "@/charts/plot/figure";
import type { Look } from "@/charts/plot/look";
import { loadPart } from "@/components/server/load-part";
import { figureImage } from "./figure-image";

export interface GifInput {
  count: number;
  figureAt: (frame: number) => Figure;
  look: Look;
  width: number;
  height: number;
  /** Delay per frame; the last frame stays longer. */
  delayMs: number;
  onProgress: (done: number) => void;
  signal: AbortSignal;
}

/** The figures as an animated GIF; throws AbortError when it is cancelled. */
export async function gifOf(input: GifInput): Promise<Blob> {
  const { GIFEncoder, applyPalette, quantize } = await loadPart(() => import("gifenc"));
  const { count, signal } = input;
  const canvas = document.createElement("canvas");
  canvas.width = input.width;
  canvas.height = input.height;
  // One palette for all frames, so that colours do not flicker: from the first, the middle and the last frame.
  const samples = [...new Set([0, Math.floor((count - 1) / 2), count - 1])];
  const pixels: Uint8ClampedArray[] = [];
  for (const frame of samples) pixels.push(await pixelsOf(input, frame, canvas));
  const palette = quantize(joined(pixels), 256);
  const gif = GIFEncoder();
  for (let frame = 0; frame < count; frame++) {
    signal.throwIfAborted();
    const known = samples.indexOf(frame);
    const rgba = pixels[known] ?? (await pixelsOf(input, frame, canvas));
    const delay = frame === count - 1 ? 2000 : input.delayMs;
    gif.writeFrame(applyPalette(rgba, palette), input.width, input.height, {
      ...(frame === 0 ? { palette } : {}),
      delay,
    });
    input.onProgress(frame + 1);
  }
  gif.finish();
  return new Blob([gif.bytes()], { type: "image/gif" });
}

async function pixelsOf(
  input: GifInput,
  frame: number,
  canvas: HTMLCanvasElement,
): Promise<Uint8ClampedArray> {
  const { width, height, look, signal } = input;
  signal.throwIfAborted();
  const image = new Image();
  image.src = await figureImage(input.figureAt(frame), "png", look, { width, height });
  await image.decode();
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser can't draw images: it has no canvas.");
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function joined(parts: readonly Uint8ClampedArray[]): Uint8ClampedArray {
  const whole = new Uint8ClampedArray(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
