// Fails when the first load has grown beyond what PRODUCT promises. Run after `npm run build`.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGETS = [
  { what: "JavaScript", ending: ".js", bytes_max: 70 * 1024 },
  { what: "CSS", ending: ".css", bytes_max: 14 * 1024 },
];

const folder = new URL("../dist/assets/", import.meta.url);
const names = readdirSync(folder);
let exceeded = false;

for (const { what, ending, bytes_max } of BUDGETS) {
  const bytes = names
    .filter((name) => name.endsWith(ending))
    .reduce(
      (sum, name) => sum + gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length,
      0,
    );
  const verdict = bytes <= bytes_max ? "ok" : "TOO LARGE";
  console.log(
    `${what}: ${(bytes / 1024).toFixed(1)} kB of ${bytes_max / 1024} kB gzip, ${verdict}`,
  );
  exceeded ||= bytes === 0 || bytes > bytes_max;
}

process.exitCode = exceeded ? 1 : 0;
