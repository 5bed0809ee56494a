// Fails when the first load has grown beyond what PRODUCT promises. Run after `npm run build`.
//
// The first load is what index.html names, and what that imports before it runs. Chunks that are
// loaded on demand are printed, not limited.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGETS = [
  { what: "JavaScript", ending: ".js", bytes_max: 70 * 1024 },
  { what: "CSS", ending: ".css", bytes_max: 14 * 1024 },
];

const dist = new URL("../dist/", import.meta.url);
const assets = readdirSync(new URL("assets/", dist));
const read = (name) => readFileSync(new URL(`assets/${name}`, dist));
const sizeOf = (name) => gzipSync(read(name), { level: 9 }).length;
const kilobytes = (bytes) => (bytes / 1024).toFixed(1);

/** Static imports begin a statement and name a file; those in `import()` do not count. */
const IMPORT = /(?:^|[;}])\s*import(?:[^"'();]*from)?\s*["'](?:\.\/|\/assets\/)([^"']+)["']/g;

const index = readFileSync(new URL("index.html", dist), "utf8");
const first = new Set(assets.filter((name) => index.includes(`/assets/${name}"`)));
for (const name of first) {
  if (!name.endsWith(".js")) continue;
  for (const [, imported] of read(name).toString().matchAll(IMPORT)) first.add(imported);
}

let exceeded = false;
for (const { what, ending, bytes_max } of BUDGETS) {
  const names = [...first].filter((name) => name.endsWith(ending));
  const bytes = names.reduce((sum, name) => sum + sizeOf(name), 0);
  const verdict = bytes <= bytes_max ? "ok" : "TOO LARGE";
  console.log(`${what}: ${kilobytes(bytes)} kB of ${bytes_max / 1024} kB gzip, ${verdict}`);
  exceeded ||= bytes === 0 || bytes > bytes_max;
}
for (const name of assets.filter((name) => !first.has(name) && /\.(js|css)$/.test(name)))
  console.log(`on demand: ${name}, ${kilobytes(sizeOf(name))} kB`);

process.exitCode = exceeded ? 1 : 0;
