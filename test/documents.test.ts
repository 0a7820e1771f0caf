/** Holds the documents at the top of the repository to what is there. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import tap, { test } from 'tap';
import { loadPolicy } from '../gateway/policy/load-policy.ts';
import { createGatewayMetrics } from '../gateway/observability/gateway-metrics.ts';
import { notInForce } from '../gateway/policy/not-in-force.ts';
import { MetricRegistry } from '../gateway/observability/metric-registry.ts';
import { startProgram } from './support/child-program.ts';
import {
  anchorsOf,
  codeSpansOf,
  fencesOf,
  fenceUnder,
  firstColumnUnder,
  hasTest,
  proseOf,
  quotedTestsOf,
  relativeLinksOf,
} from './support/documents.ts';
import { temporaryDirectory } from './support/start-gateway.ts';

const PROGRAM = resolve('gateway/zasov.mjs');
const DEMO_MS = 20_000;

// Many short programs, each of which is slow on a machine that is busy.
tap.setTimeout(120_000);

/** Everything that this version does not do, so that the README can be compared with it. */
const ASKS_FOR_ALL = `
regions: [{ id: a, nodes: ["http://127.0.0.1:9101"], role: primary }]
routes: [{ name: all, match: { path: "/**" }, access: session, writes: true }]
sessions: { device: require }
secrets: { master_key: "env:SECRET" }
tls:
  certificates:
    - { hosts: [crm.example], acme: { directory: "https://acme.example/d", email: ops@example, agree_terms: true } }
routing: { reads: nearest }
limits: { person: { per: session, parallel: 1 } }
admins:
  - { name: Anna, certificate: "sha256:${'a'.repeat(64)}" }
  - { name: Boris, certificate: "sha256:${'b'.repeat(64)}" }
admin_access: { servers: ["db:22"] }
backup: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p], to: { dir: /mnt/external } }
`;

const read = (file: string): string => readFileSync(file, 'utf8');
const documents = new Map(
  [
    'README.md',
    'README.ru.md',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'docs/scale.md',
    'docs/facility.md',
  ].map((file) => [file, read(file)]),
);
const readme = documents.get('README.md') ?? '';
const russian = documents.get('README.ru.md') ?? '';
const security = documents.get('SECURITY.md') ?? '';
const contributing = documents.get('CONTRIBUTING.md') ?? '';
const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>> & {
  version: string;
};

await test('every relative link leads to a file and a heading that are there', async (t) => {
  for (const [document, text] of documents) {
    for (const { file, anchor } of relativeLinksOf(text)) {
      const target = file === '' ? document : file;
      t.ok(existsSync(target), `${document} links to ${target}`);
      if (anchor !== '')
        t.ok(anchorsOf(read(target)).includes(anchor), `${document} links to ${target}#${anchor}`);
    }
  }
});

await test('every file and folder that is named with its path is there', async (t) => {
  const path = /^(?:(?:gateway|policies|test|certs|\.ci)\/[\w./-]*|Dockerfile|LICENSE|[\w.-]+\.(?:md|json))$/;
  let named = 0;
  for (const [document, text] of documents) {
    for (const span of codeSpansOf(text)) {
      if (!path.test(span)) continue;
      named++;
      t.ok(existsSync(span), `${document} names ${span}`);
      if (span.endsWith('/')) t.ok(statSync(span).isDirectory(), `${document} calls ${span} a folder`);
    }
  }
  t.ok(named > 50, `${named} paths were looked at`);
});

await test('every test that is named as a proof is in the file that is named', async (t) => {
  const named = [...documents.values()].flatMap(quotedTestsOf);
  t.ok(named.length > 30, `${named.length} tests are named`);
  for (const { file, title } of named)
    t.ok(existsSync(file) && hasTest(read(file), title), `${file} "${title}"`);
});

await test('every guarantee of the threat model names a test, or stands among those without one', async (t) => {
  const guarantees = /\n## Guarantees\n([^]*?)\n### Believed/.exec(security)?.[1] ?? '';
  const entries = guarantees.split(/\n- \*\*/).slice(1);
  t.ok(entries.length > 20, `${entries.length} guarantees`);
  for (const entry of entries) t.not(quotedTestsOf(entry).length, 0, entry.slice(0, 80));
});

await test('every command and script that is mentioned exists', async (t) => {
  const { stdout: usage } = zasov('.', ['--help']);
  const commands = new Set([...usage.matchAll(/^ {2}zasov (\w+)/gm)].map(([, name]) => name));
  t.ok(commands.size >= 8, usage);
  for (const [document, text] of documents) {
    const code = [...codeSpansOf(text), ...fencesOf(text).map((fence) => fence.text)].join('\n');
    for (const [, name] of code.matchAll(/(?<![\w-])zasov (?=([a-z]+)\b)/g))
      if (name !== 'zasov') t.ok(commands.has(name), `${document}: zasov ${name}`);
    for (const [, name = ''] of code.matchAll(/\bnpm (?:run )?(?!ci\b|run\b)([a-z]+)/g))
      t.hasProp(manifest['scripts'] ?? {}, name, `${document}: npm run ${name}`);
  }
});

await test('the policy to begin with is good, and the same in both languages', async (t) => {
  const policy = fenceUnder(readme, 'policy');
  t.equal(fenceUnder(russian, 'policy'), policy);
  const folder = t.testdir({ 'crm.yaml': policy });
  const reading = loadPolicy(join(folder, 'crm.yaml'), {});
  t.notOk('mistakes' in reading && reading.mistakes.map(({ message }) => message).join('\n'));
  t.ok('policy' in reading);
});

await test('the commands that are shown print what is shown', async (t) => {
  const policy = fenceUnder(readme, 'policy');
  const bad = policy
    .replace('access: session }', 'acess: session }')
    .replace('login_page: /login', 'grace: 40s');
  const folder = t.testdir({ 'crm.yaml': policy, 'bad.yaml': bad });
  for (const mark of ['run', 'mistakes']) {
    const shown = fenceUnder(readme, mark)
      .split(/^\$ npx zasov /m)
      .slice(1);
    t.ok(shown.length > 0, mark);
    for (const command of shown) {
      const [line = '', ...output] = command.split('\n');
      t.equal(zasov(folder, line.split(' ')).stdout.trimEnd(), output.join('\n').trimEnd(), line);
    }
  }
});

await test('the demo prints what both languages show of it', async (t) => {
  const data = temporaryDirectory();
  const demo = startProgram(process.execPath, [PROGRAM, 'demo', '--port', '0', '--data', data]);
  await demo.line(/^Ctrl\+C ends it/, DEMO_MS);
  const plain = (text: string): string[] =>
    text
      .replaceAll(data, 'var')
      .replaceAll(/:\d{4,5}\b/g, ':PORT')
      .replaceAll(/(:PORT) +\d+$/gm, '$1 PID')
      .split('\n')
      .map((line) => line.replaceAll(/ {2,}/g, ' ').trim());
  const printed = plain(demo.output.stdout);
  for (const text of [readme, russian]) {
    const shown = plain(fenceUnder(text, 'demo')).filter((line) => line !== '' && line !== '…');
    t.ok(shown.length > 5);
    for (const line of shown) t.ok(printed.includes(line), line);
  }
  t.equal(await demo.stop(), 0);
});

await test('the test files that are shown exist, and no block is empty', async (t) => {
  for (const text of [readme, russian]) {
    const shown = [...fenceUnder(text, 'test').matchAll(/^ok +(\S+)/gm)].map(([, file = '']) => file);
    t.ok(shown.length > 2);
    for (const file of shown) t.ok(existsSync(file), file);
  }
  for (const [document, text] of documents)
    for (const fence of fencesOf(text)) t.match(fence.text, /\S/, document);
});

await test('every metric is described, and no other', async (t) => {
  const registry = new MetricRegistry();
  createGatewayMetrics(registry);
  const names = [...(await registry.render()).matchAll(/^# TYPE (zasov_\w+)/gm)].map(([, name = '']) => name);
  const described = firstColumnUnder(readme, 'metrics').filter((name) => name.startsWith('zasov_'));
  t.strictSame(described.toSorted(), names.toSorted());
});

await test('the settings that are said to be refused or to wait are, and the others are keys of the policies', async (t) => {
  const file = join(t.testdir({ 'all.yaml': ASKS_FOR_ALL }), 'all.yaml');
  const reading = loadPolicy(file, { SECRET: 'x' });
  if ('mistakes' in reading) throw new Error(reading.mistakes.map(({ message }) => message).join('\n'));
  const { refused, waiting } = notInForce(reading.settings);
  const names = (says: readonly string[]): string[] =>
    says.map((line) => line.split(':', 1)[0] ?? '').toSorted();
  t.strictSame(firstColumnUnder(readme, 'refused').toSorted(), names(refused));
  t.strictSame(firstColumnUnder(readme, 'waiting').toSorted(), names(waiting));
  const schema = JSON.parse(read('policies/policy.schema.json')) as object;
  for (const key of firstColumnUnder(readme, 'no effect'))
    if (key !== 'require') t.ok(holdsKey(schema, key.split('.')), key);
});

await test('every dependency has its reason, and every reason its dependency', async (t) => {
  const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'];
  const installed = kinds.flatMap((kind) => Object.keys(manifest[kind] ?? {}));
  const table = contributing.split('## Dependencies, and why')[1] ?? '';
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  // The name in brackets says what a package is a stand-in for.
  const reasoned = rows.flatMap((row) => codeSpansOf((row.split('|')[1] ?? '').replace(/\(.*\)/, '')));
  t.strictSame(reasoned.toSorted(), installed.toSorted());
});

await test('the version is that of the package, and no place of one machine is named', async (t) => {
  t.match(readme, `version ${manifest.version}`);
  t.match(russian, `версия ${manifest.version}`);
  t.match(documents.get('CHANGELOG.md'), `## ${manifest.version}`);
  for (const [document, text] of documents)
    t.notMatch(proseOf(text), /(?:^|[\s`"(])\/(?:work|tmp|home|root)\b/, document);
});

function zasov(cwd: string, parameters: readonly string[]): { stdout: string } {
  return spawnSync(process.execPath, [PROGRAM, ...parameters], { cwd, encoding: 'utf8' });
}

/** Whether a JSON Schema knows a key by its path; lists and alternatives are looked into. */
function holdsKey(schema: object, [key, ...rest]: readonly string[]): boolean {
  if (key === undefined) return true;
  const { properties, ...inside } = schema as { properties?: Record<string, object> };
  const found = properties?.[key];
  if (found !== undefined) return holdsKey(found, rest);
  const { items, anyOf = [], oneOf = [] } = inside as { items?: object; anyOf?: object[]; oneOf?: object[] };
  return [...(items === undefined ? [] : [items]), ...anyOf, ...oneOf].some((part) =>
    holdsKey(part, [key, ...rest]),
  );
}
