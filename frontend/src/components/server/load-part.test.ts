import { expect, test } from "vitest";

const sources = import.meta.glob<string>(["/src/**/*.{ts,tsx}", "!/src/**/*.test.*", "!/src/test-setup.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});

/** Calls of `import()` that are not the first argument of `loadPart` or `lazyPart`. */
function bareImports(source: string): string[] {
  const guarded = /\b(?:loadPart|lazyPart)\(\s*\(\) => import\("[^"]+"\)/g;
  return source.replace(guarded, "").match(/(?<!typeof )\bimport\("[^"]+"\)/g) ?? [];
}

test("every part that is loaded on demand waits for the server", () => {
  const bare = Object.entries(sources).flatMap(([path, source]) =>
    bareImports(source).map((call) => `${path}: ${call}`),
  );
  expect(bare).toEqual([]);
});

test("an import outside of loadPart is found", () => {
  expect(bareImports('lazy(async () => ({ default: (await import("./A")).A }))')).toEqual(['import("./A")']);
  expect(Object.keys(sources)).toContain("/src/features/run/actions/RunActions.tsx");
});
