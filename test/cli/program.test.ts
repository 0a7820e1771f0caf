import { readdirSync, readFileSync } from 'node:fs';

import { type Test, test } from 'tap';

import { runProgram } from '../../gateway/cli/program.ts';
import { table } from '../../gateway/cli/table.ts';

/** Runs a command line in this process, and keeps what it says. */
async function zasov(t: Test, ...parameters: string[]) {
  const out = t.capture(process.stdout, 'write', () => true);
  const error = t.capture(process.stderr, 'write', () => true);
  const status = await runProgram(parameters);
  const said = (calls: readonly { args: unknown[] }[]) => calls.map(({ args }) => String(args[0])).join('');
  const result = { status, stdout: said(out()), stderr: said(error()) };
  out.restore();
  error.restore();
  return result;
}

/** Options that a command of the command line takes, as its source gives them to `parseArgs`. */
function optionsIn(file: string): string[] {
  const source = readFileSync(`gateway/cli/${file}`, 'utf8');
  return [...source.matchAll(/'?([a-z-]+)'?: \{ type: '(?:string|boolean)'/g)].map(([, name]) => name ?? '');
}

const SOURCES: Record<string, string> = { demo: 'demo-command.ts', test: 'policy-test.ts' };

await test('every command says how it is called, with each of its options', async (t) => {
  const overview = await zasov(t, 'help');
  t.equal(overview.status, 0);
  const names = [...overview.stdout.matchAll(/^ {2}zasov (\w+)/gm)].map(([, name]) => name ?? '');
  t.ok(names.length >= 14, names.join(' '));
  const files = readdirSync('gateway/cli');
  for (const name of names) {
    const { status, stdout } = await zasov(t, name, 'anything', '--help');
    t.equal(status, 0, name);
    t.match(stdout, new RegExp(`^usage: zasov ${name}`));
    const file = SOURCES[name] ?? `${name}.ts`;
    t.ok(files.includes(file), file);
    // `admins` and `ssh` speak to the admin listener where --data means nothing for most of what they do.
    for (const option of optionsIn(file)) {
      if (!(name === 'ssh' && option === 'data')) t.match(stdout, `--${option}`, `${name} --${option}`);
    }
    t.equal((await zasov(t, 'help', name)).stdout, stdout);
  }
});

await test('bad usage ends with 2 and says what would be right', async (t) => {
  const cases: [parameters: string[], said: RegExp][] = [
    [[], /^zasov: no command given\nusage:/],
    [['sesions'], /no command "sesions"; did you mean "sessions"\?/],
    [['toString'], /no command "toString"/],
    [['help', 'nothing'], /no command "nothing"/],
    [['keys'], /^usage: zasov keys issue/],
    [['keys', 'issue', '--account', 'a'], /^usage: zasov keys issue/],
    [['keys', 'list', 'more'], /^usage: zasov keys issue/],
    [['keys', 'list', '--state', 'actve'], /--state takes active, expiring/],
    [['sessions', 'list', 'more', 'words'], /^usage: zasov sessions list/],
    [['sessions', 'revoke'], /name a session: .*; see zasov sessions --help/],
    [['regions', 'drain'], /^usage: zasov regions list/],
    [['status', '--nothing'], /^zasov: Unknown option '--nothing'; see zasov status --help\n$/],
    [['explain', 'GET'], /a request is a method and a URL/],
    [['demo', '--port', '70000'], /--port takes 0 to 65535/],
  ];
  for (const [parameters, said] of cases) {
    const { status, stdout, stderr } = await zasov(t, ...parameters);
    t.equal(status, 2, parameters.join(' '));
    t.equal(stdout, '');
    t.match(stderr, said);
  }
  t.equal((await zasov(t, '--version')).stdout, (await zasov(t, 'version')).stdout);
});

await test('a person whose name looks like the id of a session can be signed out', async (t) => {
  const name = 'alexandra-konstantinov';
  t.equal(name.length, 22);
  const person = await zasov(
    t,
    'sessions',
    'revoke',
    '--account',
    'acme',
    '--subject',
    name,
    '--data',
    '/nowhere',
  );
  t.equal(person.status, 1);
  t.match(person.stderr, /no gateway runs here/);
  const id = await zasov(t, 'sessions', 'revoke', '-AroVorq9XIWHW3fWZAehm', '--data', '/nowhere');
  t.equal(id.status, 1, 'an id that begins with a dash is no option');
});

void test('what strangers chose moves no cursor of a terminal that shows it', (t) => {
  const label = `x\u001b]0;owned\u0007\n\rfalse  row\u009b2J\u202e`;
  const text = table(['label'], [[label], ['DOMAIN\\user «ё»']]);
  t.equal(text.split('\n').length, 3);
  t.notMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
  t.match(text, 'DOMAIN\\user «ё»');
  t.end();
});
