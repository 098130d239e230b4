/** Which folder may import which: app -> features -> charts -> components -> api, without cycles. */
import { expect, test } from "vitest";

const mostModules = 20;
const sources = import.meta.glob<string>(["/src/**/*.{ts,tsx}", "!/src/**/*.gen.d.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});

/** Paths below src, `features/run/RunPage.tsx`. */
const files = new Map(Object.entries(sources).map(([path, text]) => [path.replace("/src/", ""), text]));
const isTest = (path: string) => /\.(test|fixture)\.tsx?$/.test(path) || path === "test-setup.ts";
const moduleOf = (path: string) => path.replace(/\.tsx?$/, "");
const folderOf = (path: string) => path.split("/").slice(0, -1).join("/");

/** Modules below src that a text imports, with `import()` and types. */
const importsOf = (path: string, text: string): string[] =>
  [...text.matchAll(/\b(?:from|import)\s*\(?\s*"((?:\.|@\/)[^"]*)"/g)].map(([, to = ""]) =>
    to.startsWith("@/") ? to.slice(2) : new URL(to, `file:///${path}`).pathname.slice(1),
  );

type Graph = Map<string, Set<string>>;

/** Who imports whom; `nodeOf` maps a path to the module or the folder that stands for it. */
function graphOf(modules: Iterable<readonly [string, string]>, nodeOf: (path: string) => string): Graph {
  const graph: Graph = new Map();
  for (const [path, text] of modules) {
    const from = nodeOf(path);
    const targets = graph.get(from) ?? new Set();
    graph.set(from, targets);
    for (const to of importsOf(path, text)) if (nodeOf(to) !== from) targets.add(nodeOf(to));
  }
  return graph;
}

/** An import cycle, with its first node repeated at the end; null when there is none. */
function cycleIn(graph: Graph): string[] | null {
  const done = new Set<string>();
  const visit = (folder: string, path: readonly string[]): string[] | null => {
    if (path.includes(folder)) return [...path.slice(path.indexOf(folder)), folder];
    if (done.has(folder)) return null;
    for (const next of graph.get(folder) ?? []) {
      const found = visit(next, [...path, folder]);
      if (found) return found;
    }
    done.add(folder);
    return null;
  };
  for (const folder of graph.keys()) {
    const found = visit(folder, []);
    if (found) return found;
  }
  return null;
}

const areas = ["app", "features", "charts", "components", "api"];
const areaOf = (path: string) => path.split("/")[0] ?? "";
const featureOf = (path: string) => (areaOf(path) === "features" ? path.split("/")[1] : null);

/** Imports that break the rules, as `importer -> imported`. */
function violations(modules: Iterable<readonly [string, string]>): string[] {
  return [...modules].flatMap(([path, text]) =>
    importsOf(path, text)
      .filter((to) => {
        const isUpwards = areas.indexOf(areaOf(to)) < areas.indexOf(areaOf(path));
        const isOtherFeature =
          featureOf(path) !== null && featureOf(to) !== null && featureOf(path) !== featureOf(to);
        return isUpwards || isOtherFeature;
      })
      .map((to) => `${path} -> ${to}`),
  );
}

const ownModules = [...files].filter(([path]) => !isTest(path));

test("imports go app -> features -> charts -> components -> api, and a feature imports no other feature", () => {
  expect(violations(ownModules)).toEqual([]);
  const wrong = [
    ["api/a.ts", 'import { b } from "@/components/b/b";'],
    ["features/run/a.ts", 'const b = () => import("@/features/runs/b");'],
    ["charts/a.ts", 'import type { B } from "@/app/b";'],
  ] as const;
  expect(violations(wrong)).toHaveLength(wrong.length);
});

test("neither modules nor folders import each other in a cycle", () => {
  expect(cycleIn(graphOf(ownModules, moduleOf))).toBeNull();
  expect(cycleIn(graphOf(ownModules, folderOf))).toBeNull();
  const cycle = [
    ["a/one.ts", 'import { two } from "@/b/two";'],
    ["b/three.ts", 'import "@/c/four";'],
    ["c/four.ts", 'import { one } from "@/a/one";'],
  ] as const;
  expect(cycleIn(graphOf(cycle, moduleOf))).toBeNull();
  expect(cycleIn(graphOf(cycle, folderOf))).toEqual(["a", "b", "c", "a"]);
  const upwards = [
    ["a/one.ts", 'import { two } from "./b/two";'],
    ["a/b/two.ts", 'import { three } from "../three";'],
  ] as const;
  expect(cycleIn(graphOf(upwards, folderOf))).toEqual(["a", "a/b", "a"]);
});

test("lint forbids each feature to import another", () => {
  const [lint = ""] = Object.values(
    import.meta.glob<string>("/biome.json", { query: "?raw", import: "default", eager: true }),
  );
  const features = new Set([...files.keys()].map(featureOf).filter((feature) => feature != null));
  expect(features.size).toBeGreaterThan(5);
  expect([...features].filter((feature) => !lint.includes(`"!@/features/${feature}/**"`))).toEqual([]);
});

test(`no folder has more than ${mostModules} modules, its tests included`, () => {
  const counts = new Map<string, number>();
  for (const path of files.keys()) counts.set(folderOf(path), (counts.get(folderOf(path)) ?? 0) + 1);
  expect([...counts].filter(([, count]) => count > mostModules)).toEqual([]);
});
