/**
 * Builds the page: everything in one file, which Python puts models into.
 *
 *     npm ci && npm run build [-- FILE]
 *
 * The same sources give the same bytes.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.resolve(process.argv[2] ?? path.join(here, "../wavegan_asmr/player/player.html"));

/** Bundles a script with all that it imports, as text that may stand in a page. */
async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [path.join(here, entry)],
    absWorkingDir: here,
    bundle: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    write: false,
    logLevel: "warning",
  });
  const { text } = outputFiles[0];
  if (/<\/script|<!--/i.test(text)) throw new Error(`${entry} would end its own script element`);
  return text;
}

/** Compiles the kernel; returns it in base64. */
async function compile() {
  const folder = await mkdtemp(path.join(tmpdir(), "kernel-"));
  try {
    const out = path.join(folder, "kernel.wasm");
    const flags = ["--runtime", "stub", "--enable", "simd", "-O3", "--noAssert", "--outFile", out];
    const { error, stderr } = await asc.main(["kernel/kernel.ts", "--baseDir", here, ...flags]);
    if (error) throw new Error(`${error.message}\n${stderr}`);
    return (await readFile(out)).toString("base64");
  } finally {
    await rm(folder, { recursive: true });
  }
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const template = await readFile(path.join(here, "page.html"), "utf8");
const style = await readFile(path.join(here, "page.css"), "utf8");
const [kernel, worklet, worker, page] = await Promise.all([
  compile(),
  ...["src/worklet.js", "src/worker.js", "src/page/main.js"].map(bundle),
]);

// A worklet is loaded from a data: address, the only one that works in a page that is a file; browsers count it among
// the scripts.
const policy = [
  "default-src 'none'",
  `script-src ${hash(`\n${page}`)} 'wasm-unsafe-eval' data:`,
  `style-src ${hash(style)}`,
  "worker-src blob:",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const parts = { policy, style, kernel, worklet, worker, page };
// A function: in a text "$&" would mean something.
const text = template.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
const partial = `${target}.partial`;
await writeFile(partial, text);
await rename(partial, target);
console.log(`${target}: ${(text.length / 1024).toFixed(0)} KiB, kernel ${((kernel.length * 3) / 4).toFixed(0)} bytes`);
