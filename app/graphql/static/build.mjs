// Bundles GraphiQL into built/: one script and one style sheet, compressed, and the licences of
// all that is in them. Nothing is taken from a network when the page runs.
import { build } from 'esbuild';
import { existsSync, readFileSync, rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const OUT = 'built';

const result = await build({
  entryPoints: { graphiql: 'main.jsx' },
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  outdir: OUT,
  legalComments: 'none', // licences.txt has them in full
  define: { 'process.env.NODE_ENV': '"production"' },
});

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT);
for (const { path, contents } of result.outputFiles) {
  let bytes = Buffer.from(contents);
  if (path.endsWith('.css')) {
    // The fonts come as 350 KB of data; the reader's own do as well.
    bytes = Buffer.from(bytes.toString().replace(/@font-face\{[^}]*\}/g, ''));
  }
  const name = path.split(/[\\/]/).at(-1);
  writeFileSync(join(OUT, `${name}.gz`), gzipSync(bytes, { level: 9 }));
}

const packages = new Map();
for (const input of Object.keys(result.metafile.inputs)) {
  const at = input.lastIndexOf('node_modules/');
  if (at < 0) continue;
  const name = input.slice(at + 'node_modules/'.length).match(/^(@[^/]+\/)?[^/]+/)[0];
  const root = input.slice(0, at) + 'node_modules/' + name;
  packages.set(root, name);
}
const texts = [];
for (const [root, name] of [...packages].sort((a, b) => a[1].localeCompare(b[1]))) {
  const { version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'LICENCE', 'LICENSE-MIT.txt']
    .map((candidate) => join(root, candidate))
    .find(existsSync);
  const text = file ? readFileSync(file, 'utf8').trim() : `Licensed under ${license}.`;
  texts.push(`${name} ${version} (${license})\n\n${text}`);
}
writeFileSync(join(OUT, 'licenses.txt'), texts.join(`\n\n${'-'.repeat(80)}\n\n`) + '\n');
