import { globSync, readFileSync, readdirSync } from 'node:fs';
import { test } from 'tap';
import { findBreaches, importsOf, strayTopLevel } from './support/architecture.ts';

const sources = new Map(
  globSync('gateway/**/*.{ts,mjs}').map((file) => [file.replaceAll('\\', '/'), readFileSync(file, 'utf8')]),
);

await test('gateway/ keeps to its floors and rules', async (t) => {
  t.ok(sources.size > 10, 'the sources were found');
  t.strictSame(findBreaches(sources), []);
});

await test('the top level of the repository is fixed', async (t) => {
  t.strictSame(strayTopLevel(readdirSync('.')), []);
  t.strictSame(strayTopLevel(['gateway', 'README.md', '.ci', 'src', 'lib']), ['src', 'lib']);
});

await test('every kind of import is seen', async (t) => {
  const text = [
    "import { a } from './a.ts';",
    "import type { B } from './b.ts';",
    "import {\n  c,\n  d,\n} from './c.ts';",
    "import './e.ts';",
    "export { f } from './f.ts';",
    "export * from './g.ts';",
    "const later = () => import('./h.ts');",
    "let t: import('./i.ts').T;",
    "const worker = new URL('./j.ts', import.meta.url);",
    "// import { no } from './comment.ts';",
    " * import { no } from './comment.ts';",
  ].join('\n');
  t.strictSame(
    importsOf(text).toSorted(),
    ['a', 'b', 'c', 'e', 'f', 'g', 'h', 'i', 'j'].map((name) => `./${name}.ts`),
  );
});

/** A house without a fault, to which each case below adds one file that breaks a rule. */
const soundHouse: readonly [string, string][] = [
  ['gateway/core/clock.ts', 'export const tick = 1;\n'],
  ['gateway/store/shelf.ts', "import { tick } from '../core/clock.ts';\nexport const shelf = () => tick;\n"],
  [
    'gateway/session/visit.ts',
    "import { shelf } from '../store/shelf.ts';\nexport const visit = () => shelf();\n",
  ],
  ['gateway/policy/rule.ts', 'export interface Rule {\n  name: string;\n}\n'],
  ['gateway/cli/serve.ts', "export async function serve() {\n  await import('../gateway.ts');\n}\n"],
  [
    'gateway/gateway.ts',
    "import { visit } from './session/visit.ts';\nexport const build = () => visit();\n",
  ],
  ['gateway/main.ts', "import { serve } from './cli/serve.ts';\nawait serve();\n"],
];

await test('a house without a fault has no breach', async (t) => {
  t.strictSame(findBreaches(new Map(soundHouse)), []);
});

const breaches: readonly { title: string; file: string; text: string; says: RegExp }[] = [
  {
    title: 'an import upwards',
    file: 'gateway/core/up.ts',
    text: "import { shelf } from '../store/shelf.ts';\nexport const up = () => shelf;\n",
    says: /may not import gateway\/store\/shelf\.ts/,
  },
  {
    title: 'an import sideways, even of a type',
    file: 'gateway/session/side.ts',
    text: "import type { Rule } from '../policy/rule.ts';\nexport type Side = Rule;\n",
    says: /may not import gateway\/policy\/rule\.ts/,
  },
  {
    title: 'a dynamic import upwards',
    file: 'gateway/store/lazy.ts',
    text: "export const lazy = () => import('../session/visit.ts');\n",
    says: /may not import gateway\/session\/visit\.ts/,
  },
  {
    title: 'an import of a computed name',
    file: 'gateway/store/computed.ts',
    text: 'export const load = (name: string) => import(name);\n',
    says: /computed name/,
  },
  {
    title: 'a lower floor that imports the roof',
    file: 'gateway/pipeline/roof.ts',
    text: "import { build } from '../gateway.ts';\nexport const roof = () => build;\n",
    says: /may not import gateway\/gateway\.ts/,
  },
  {
    title: 'an import of the tests',
    file: 'gateway/core/tested.ts',
    text: "import { ManualClock } from '../../test/support/manual-clock.ts';\nexport const x = ManualClock;\n",
    says: /reaches out of gateway\//,
  },
  {
    title: 'a name that exists on another floor',
    file: 'gateway/policy/clock.ts',
    text: 'export const other = 1;\n',
    says: /has the same name as gateway\/core\/clock\.ts/,
  },
  {
    title: 'a folder on no floor',
    file: 'gateway/utils/text.ts',
    text: 'export const text = 1;\n',
    says: /gateway\/utils\/ is on no floor/,
  },
  {
    title: 'a file beside the floors',
    file: 'gateway/extra.ts',
    text: 'export const extra = 1;\n',
    says: /stand beside the floors/,
  },
  {
    title: 'a file of 301 lines',
    file: 'gateway/core/long.ts',
    text: `export const long = 1;\n${'// more\n'.repeat(300)}`,
    says: /301 lines, 300 at most/,
  },
  {
    title: 'a default export',
    file: 'gateway/core/usual.ts',
    text: 'export default function usual() {}\n',
    says: /default export/,
  },
  {
    title: 'a default export by renaming',
    file: 'gateway/core/renamed.ts',
    text: 'const usual = 1;\nexport { usual as default };\n',
    says: /default export/,
  },
  {
    title: 'a cycle inside one folder',
    file: 'gateway/store/shelf.ts',
    text: "import { shelf as self } from './shelf.ts';\nexport const shelf = () => self;\n",
    says: /cycle: gateway\/store\/shelf\.ts -> gateway\/store\/shelf\.ts/,
  },
  {
    title: 'the environment read below the roof',
    file: 'gateway/proxy/peek.ts',
    text: 'export const peek = () => process.env.HOME;\n',
    says: /read the environment/,
  },
  {
    title: 'the environment read under another name',
    file: 'gateway/proxy/peek-again.ts',
    text: "import { env } from 'node:process';\nexport const peek = () => env.HOME;\n",
    says: /read the environment/,
  },
  {
    title: 'a call at the top of a module',
    file: 'gateway/proxy/eager.ts',
    text: "export const eager = () => 1;\n\nprocess.on('exit', eager);\n",
    says: /does something on import: process\.on/,
  },
  {
    title: 'a condition at the top of a module',
    file: 'gateway/proxy/branch.ts',
    text: 'if (import.meta.main) {\n  run();\n}\nexport function run() {}\n',
    says: /does something on import: if/,
  },
  {
    title: 'a file read into a constant on import',
    file: 'gateway/proxy/reader.ts',
    text: "import { readFileSync } from 'node:fs';\nexport const page = readFileSync('page.html', 'utf8');\n",
    says: /does something on import: export const page/,
  },
  {
    title: 'a timer held by a constant',
    file: 'gateway/proxy/timer.ts',
    text: 'const timer: NodeJS.Timeout = setInterval(() => {}, 1000);\nexport const stop = () => clearInterval(timer);\n',
    says: /does something on import: const timer/,
  },
];

for (const { title, file, text, says } of breaches)
  await test(`${title} is refused`, async (t) => {
    const found = findBreaches(new Map([...soundHouse, [file, text]]));
    t.match(found, [says]);
    t.equal(found.length, 1);
  });
