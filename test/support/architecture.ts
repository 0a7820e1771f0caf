import { basename, dirname, posix } from 'node:path';

/**
 * Folders of `gateway/` and the floor each stands on. The top floor composes everything and is ordered in itself:
 * `gateway.ts` builds, `demo/` starts a gateway with its CRM, `cli/` has a command for both, `main.ts` calls `cli/`.
 */
const FLOORS: Record<string, number> = {
  core: 0,
  crypto: 1,
  config: 1,
  observability: 1,
  store: 2,
  session: 3,
  'api-key': 3,
  admin: 3,
  policy: 3,
  'rate-limit': 3,
  upstream: 3,
  tls: 3,
  audit: 3,
  backup: 3,
  proxy: 4,
  pipeline: 5,
  server: 6,
  console: 6,
  demo: 8,
  cli: 9,
};
const ROOF_FILES: Record<string, number> = { 'gateway.ts': 7, 'main.ts': 10, 'zasov.mjs': 11 };
const LINE_LIMIT = 300;
/** Everything that may stand beside dotfiles: what is committed, then what working in a checkout makes. */
const TOP_LEVEL = new Set(
  [
    'gateway policies certs docs test package.json package-lock.json tsconfig.json Dockerfile',
    'README.md README.ru.md SECURITY.md CHANGELOG.md CONTRIBUTING.md LICENSE',
    'node_modules var',
  ].flatMap((names) => names.split(' ')),
);

/** Source text by path from the root of the repository (`gateway/core/clock.ts`). */
export type Sources = ReadonlyMap<string, string>;

/** Every breach of the rules of the house, one sentence each, with the file first; empty when all is well. */
export function findBreaches(sources: Sources): string[] {
  return [
    ...misplacedFiles(sources),
    ...repeatedNames(sources),
    ...[...sources].flatMap(([file, text]) => [
      ...wrongImports(file, text, sources),
      ...wrongStyle(file, text),
      ...importEffects(file, text),
    ]),
    ...cycles(sources),
  ];
}

/** Entries of the repository's top level that have no place there. */
export function strayTopLevel(entries: readonly string[]): string[] {
  return entries.filter(
    (entry) => !entry.startsWith('.') && !entry.endsWith('.log') && !TOP_LEVEL.has(entry),
  );
}

/**
 * The modules that a file reaches: static and type-only imports, re-exports, `import()` in code and in types, and
 * files loaded by `new URL('…', import.meta.url)`. The formatter keeps static imports at the start of a line, which
 * is what lets plain expressions find them all.
 */
export function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const patterns = [
    /^(?:import|export)\b[^'"`;]*?\bfrom\s*(['"])([^'"]+)\1/gm,
    /^import\s*(['"])([^'"]+)\1/gm,
    /\bimport\(\s*(['"`])([^'"`$]+)\1/g,
    /\bnew URL\(\s*(['"`])(\.[^'"`$]+\.[mc]?[jt]s)\1\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[2] ?? ''));
}

/** Drops whole-line comments only, so that no string or expression with a slash in it is taken for one. */
function withoutComments(text: string): string {
  return text.replaceAll(/^[ \t]*(?:\/\/.*|\/\*[\s\S]*?\*\/)[ \t]*$/gm, '');
}

function folderOf(file: string): string {
  return file.split('/').length > 2 ? (file.split('/')[1] ?? '') : '';
}

function floorOf(file: string): number {
  const floors = folderOf(file) === '' ? ROOF_FILES : FLOORS;
  return floors[folderOf(file) || basename(file)] ?? -1;
}

function mayImport(from: string, to: string): boolean {
  if (folderOf(from) !== '' && folderOf(from) === folderOf(to)) return true;
  return floorOf(to) < floorOf(from);
}

function misplacedFiles(sources: Sources): string[] {
  return [...sources.keys()].flatMap((file) => {
    const folder = folderOf(file);
    if (folder === '')
      return basename(file) in ROOF_FILES
        ? []
        : [`${file}: only ${Object.keys(ROOF_FILES).join(', ')} stand beside the floors`];
    return folder in FLOORS ? [] : [`${file}: gateway/${folder}/ is on no floor`];
  });
}

function repeatedNames(sources: Sources): string[] {
  const first = new Map<string, string>();
  const breaches: string[] = [];
  for (const file of sources.keys()) {
    const earlier = first.get(basename(file));
    if (earlier === undefined) first.set(basename(file), file);
    else breaches.push(`${file}: has the same name as ${earlier}`);
  }
  return breaches;
}

function wrongImports(file: string, text: string, sources: Sources): string[] {
  const breaches: string[] = [];
  for (const specifier of importsOf(text)) {
    if (!specifier.startsWith('.')) continue;
    const target = resolve(file, specifier);
    if (!target.startsWith('gateway/')) breaches.push(`${file}: reaches out of gateway/ to ${target}`);
    else if (!sources.has(target)) breaches.push(`${file}: imports ${target}, which is not there`);
    else if (!mayImport(file, target)) breaches.push(`${file}: may not import ${target} (sideways or up)`);
  }
  if (/\bimport\(\s*[^'"`\s)]/.test(withoutComments(text)))
    breaches.push(`${file}: import() of a computed name hides what is imported`);
  if (/\b(?:createRequire|require)\(/.test(withoutComments(text)))
    breaches.push(`${file}: require() hides what is imported`);
  return breaches;
}

function resolve(file: string, specifier: string): string {
  return posix.normalize(posix.join(dirname(file), specifier));
}

function wrongStyle(file: string, text: string): string[] {
  const breaches: string[] = [];
  const lines = text.trimEnd().split('\n').length;
  if (lines > LINE_LIMIT) breaches.push(`${file}: ${lines} lines, ${LINE_LIMIT} at most`);
  if (/^export (?:default\b|\{[^}]*\bas default\b)/m.test(text)) breaches.push(`${file}: default export`);
  const mayReadEnvironment = folderOf(file) === 'config' || /^gateway\/(?:main\.ts$|cli\/)/.test(file);
  if (
    !mayReadEnvironment &&
    /\bprocess\s*(?:\.\s*env\b|\[\s*['"`]env)|\benv\b[^;]*\bfrom 'node:process'/.test(withoutComments(text))
  )
    breaches.push(`${file}: only config/, cli/ and main.ts read the environment`);
  return breaches;
}

const DECLARATION =
  /^(?:import|export|const|let|type|interface|function|async function|class|abstract class|declare)\b/;
const EFFECT =
  /^(?:export )?(?:const|let) [^=]*=\s*(?:await\b|(?:new )?(?:[\w$]+\.)*(?:set(?:Interval|Timeout|Immediate)|createServer|createSecureServer|listen|connect|spawn|exec|fork|fetch|on|once|(?:read|write|append|exists|mkdir|stat|open|readdir|rm)\w*Sync|DatabaseSync|Redis|Pool|Agent|pino|generateKey\w*|randomBytes)\()/m;

/**
 * Statements at the start of a line that do something when the module is loaded. Approximate: a declaration whose
 * value comes straight from a call that touches the world (timers, files, sockets, processes, stores, entropy)
 * counts, a call of a pure function does not.
 */
function importEffects(file: string, text: string): string[] {
  if (floorOf(file) >= 10) return [];
  const breaches: string[] = [];
  for (const statement of topLevelStatements(text)) {
    const head = statement.split('\n', 1)[0] ?? '';
    if (!DECLARATION.test(statement)) breaches.push(`${file}: does something on import: ${head}`);
    else if (EFFECT.test(statement)) breaches.push(`${file}: does something on import: ${head}`);
    else if (/^\s+static \{|^\s+static [^(]*= (?:await|set(?:Interval|Timeout)\()/m.test(statement))
      breaches.push(`${file}: a static initialiser does something on import`);
  }
  return breaches;
}

/** Splits formatted code into its top-level statements: each begins at the start of a line and is no closer. */
function topLevelStatements(text: string): string[] {
  const statements: string[] = [];
  let isTemplate = false;
  for (const line of withoutComments(text).split('\n')) {
    const isStart = !isTemplate && /^[^\s})\]`]/.test(line);
    if (isStart) statements.push(line);
    else if (statements.length > 0) statements.push(`${statements.pop() ?? ''}\n${line}`);
    if ((line.replaceAll(/\\`|'`'|"`"|\/[^/\s]*`[^/]*\//g, '').split('`').length - 1) % 2 === 1)
      isTemplate = !isTemplate;
  }
  return statements;
}

function cycles(sources: Sources): string[] {
  const finished = new Set<string>();
  const breaches: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) {
      breaches.push(`${file}: cycle: ${[...trail.slice(trail.indexOf(file)), file].join(' -> ')}`);
      return;
    }
    if (finished.has(file)) return;
    for (const specifier of importsOf(sources.get(file) ?? ''))
      if (specifier.startsWith('.')) visit(resolve(file, specifier), [...trail, file]);
    finished.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return breaches;
}
