// Bundles the page into dist/: `npm ci && npm run build` gives the committed bytes again.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { client: "src/main.ts" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  alias: { "@daily-co/daily-js": "./src/no_daily.ts" },
  metafile: true,
});
await build({
  absWorkingDir: here,
  entryPoints: { client: "src/client.css" },
  outdir: "dist",
  bundle: true,
  minify: true,
  target: "es2022",
});
await cp(join(here, "index.html"), join(dist, "index.html"));
await writeFile(join(dist, "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));

/** The licences of the packages that the bundle holds code of. */
async function licences(inputs) {
  const packages = new Set();
  for (const input of inputs) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name !== undefined) packages.add(name);
  }
  const parts = ["client.js holds code of these packages, under these licences.\n"];
  for (const name of [...packages].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    parts.push(`\n${"=".repeat(80)}\n${name} ${version} (${license})\n\n${await text(folder)}`);
  }
  return parts.join("");
}

/** A package's licence text; @pipecat-ai/client-js ships none, its sibling's is the same. */
async function text(folder) {
  for (const name of ["LICENSE", "LICENSE.md", "LICENSE.txt"]) {
    try {
      return (await readFile(join(folder, name), "utf8")).replaceAll("\r\n", "\n").trimEnd() + "\n";
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  if (folder.endsWith(join("@pipecat-ai", "client-js"))) {
    return text(join(folder, "..", "small-webrtc-transport"));
  }
  throw new Error(`${folder} has no licence text`);
}
