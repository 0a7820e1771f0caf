#!/usr/bin/env node
import { fileURLToPath } from 'node:url';

// Plain JavaScript, so that a Node too old to read TypeScript can still say what is wrong.
const major = Number(process.versions.node.split('.')[0]);
if (major < 26) {
  process.stderr.write(
    `zasov: Node ${process.versions.node} is too old, 26 or newer is needed; start it with "npx zasov" or "npm start", which bring their own.\n`,
  );
  process.exit(1);
}
// Keeps what Node makes of the sources: the next start is quicker and the process 25 MB smaller. Beside the code and
// not in the temporary directory, where somebody else could plant a program; where it cannot be written it is left out.
const { enableCompileCache } = await import('node:module');
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/zasov', import.meta.url)));
const { main } = await import('./main.ts');
await main(process.argv.slice(2));
