import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, globSync } from 'node:fs';
import { join } from 'node:path';

import { type ChildProgram, startProgram } from './child-program.ts';
import { temporaryDirectory } from './start-gateway.ts';

/** A PostgreSQL of Debian's that a test started, on a socket in a directory of its own. */
export interface PostgresServer {
  readonly program: ChildProgram;
  /** What every client has to be told: where the socket is, and who asks. */
  readonly place: readonly string[];
  /** Path of one of its programs. */
  readonly tool: (name: string) => string;
  /** Runs SQL. @returns what psql prints. @throws Error with what it says. */
  sql(database: string, text: string): string;
}

/** Starts a server in a temporary directory, as the user `postgres` when the test is root, which it refuses to be. */
export async function startPostgres(): Promise<PostgresServer> {
  const [bin = ''] = globSync('/usr/lib/postgresql/*/bin').toSorted().toReversed();
  const directory = temporaryDirectory();
  const data = join(directory, 'data');
  const isRoot = process.getuid?.() === 0;
  const number = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  if (isRoot) chownSync(directory, number('-u'), number('-g'));
  chmodSync(directory, 0o755);
  const owner = isRoot ? { uid: number('-u'), gid: number('-g') } : {};
  run(join(bin, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '-N', '--no-instructions'], owner);
  const settings = { listen_addresses: '', unix_socket_directories: directory, fsync: 'off' };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = [join(bin, 'postgres'), '-D', data, ...options];
  const program = isRoot
    ? startProgram('setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', ...server])
    : startProgram(server[0] ?? '', server.slice(1));
  const place = ['-h', directory, '-U', 'postgres'];
  const tool = (name: string) => join(bin, name);
  for (let tries = 0; spawnSync(tool('pg_isready'), ['-h', directory]).status !== 0; tries += 1) {
    if (tries > 100) throw new Error(`PostgreSQL does not start:\n${program.output.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    program,
    place,
    tool,
    sql: (database, text) => run(tool('psql'), [...place, '-d', database, '-Atqc', text], {}),
  };
}

function run(command: string, parameters: readonly string[], owner: { uid?: number; gid?: number }): string {
  const result = spawnSync(command, parameters, { encoding: 'utf8', cwd: '/', ...owner });
  if (result.status !== 0) throw new Error(`${command}: ${result.stderr}`);
  return result.stdout;
}
