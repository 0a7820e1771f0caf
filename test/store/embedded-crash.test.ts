import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'tap';
import { systemClock } from '../../gateway/core/clock.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import type { SessionStore } from '../../gateway/store/session-store.ts';
import { LIMITS } from './contract-bench.ts';

const WRITER = join(import.meta.dirname, 'crash-writer.ts');

/** Lets a writer work on the file and kills it, in the middle of whatever it does, after so many promises. */
async function writeUntilKilled(path: string, promises: number): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length === promises) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return lines;
}

async function describe(store: SessionStore, id: string, hash: string): Promise<string> {
  const answer = await store.use(id, hash, false, LIMITS);
  if (answer === undefined || answer.outcome === 'dead') return answer?.outcome ?? 'unknown';
  const { state, jarVersion } = answer.family;
  return `${answer.outcome}, generation ${state.generation}, jar ${jarVersion}`;
}

for (const promises of [40, 101, 222]) {
  void test(`after kill -9 (${promises} promises) the file is whole and what was ended stays ended`, async (t) => {
    const path = join(t.testdir({}), 'sessions.db');
    const lines = await writeUntilKilled(path, promises);
    t.ok(lines.length >= promises);
    const store = openEmbeddedStore(path, familyTransitions, systemClock);
    const ended = new Set(lines.filter((line) => line.startsWith('ended')).map((line) => line.split(' ')[1]));
    t.ok(ended.size > promises / 6);
    // The one that was being ended when the kill came may be either.
    const last = lines.at(-1)?.split(' ')[1] ?? '';
    for (const line of lines.filter((text) => text.startsWith('alive'))) {
      const [, id = '', hash = ''] = line.split(' ');
      if (id === last && !ended.has(id)) continue;
      const found = await describe(store, id, hash);
      const promised = ended.has(id) ? 'dead' : 'ok, generation 3, jar 3';
      if (found !== promised) t.fail(`${id} is ${found}, promised was ${promised}`);
    }
    await store.close();
    const database = new DatabaseSync(path);
    t.same(database.prepare('PRAGMA integrity_check').all(), [{ integrity_check: 'ok' }]);
    const orphans = database
      .prepare('SELECT count(*) AS n FROM jars JOIN families USING (id) WHERE alive = 0')
      .get();
    t.equal(orphans?.['n'], 0, 'no dead family has a jar: half an end is not possible');
    database.close();
  });
}
