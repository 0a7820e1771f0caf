import { createHash, randomBytes } from 'node:crypto';
import type { Test } from 'tap';

import type { BackupTarget } from '../../gateway/backup/backup-target.ts';

/** What is read from a target, as one piece. */
export async function readAll(target: BackupTarget, name: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of target.read(name)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A body of one or several pieces. */
export async function* pieces(...chunks: (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

/** A body that breaks off after its pieces. */
async function* breaksOff(error: Error, ...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
  throw error;
}

/** The names that a target tells. */
export async function namesOf(target: BackupTarget, prefix = ''): Promise<string[]> {
  return (await target.list(prefix)).map(({ name }) => name);
}

/** What every kind of target guarantees. The target is empty and is left empty. */
export async function targetContract(t: Test, target: BackupTarget): Promise<void> {
  await t.test('what was put is read back, listed with its size, and its hash told', async (s) => {
    const first = randomBytes(70_000);
    const told: number[] = [];
    const written = await target.put('zasov-a.age', pieces(first, 'end'), { onBytes: (n) => told.push(n) });
    const whole = Buffer.concat([first, Buffer.from('end')]);
    s.same(written, { bytes: 70_003, sha256: createHash('sha256').update(whole).digest('hex') });
    s.ok((await readAll(target, 'zasov-a.age')).equals(whole));
    s.match(await target.list('zasov-'), [{ name: 'zasov-a.age', bytes: 70_003 }]);
    s.ok(Math.abs(((await target.list(''))[0]?.modifiedMs ?? 0) - Date.now()) < 60_000);
    s.equal(told.at(-1), 70_003);
  });

  await t.test('a name that is taken is refused, and what was there stays', async (s) => {
    const before = await readAll(target, 'zasov-a.age');
    await s.rejects(target.put('zasov-a.age', pieces('other')), {
      code: 'backup_failed',
      message: /exists already/,
    });
    s.ok((await readAll(target, 'zasov-a.age')).equals(before));
  });

  await t.test('a body that breaks off leaves nothing, and its own error is told', async (s) => {
    const error = Object.assign(new Error('the dump failed'), { code: 'ENOENT', syscall: 'spawn' });
    await s.rejects(target.put('zasov-b.age', breaksOff(error, randomBytes(10_000))), {
      message: 'the dump failed',
    });
    s.same(await namesOf(target), ['zasov-a.age']);
    await target.sweep(0);
    s.same(await namesOf(target), ['zasov-a.age']);
  });

  await t.test('an ended put leaves nothing', async (s) => {
    const controller = new AbortController();
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield randomBytes(1000);
      controller.abort(new Error('stopped'));
      yield randomBytes(1000);
    };
    await s.rejects(target.put('zasov-b.age', body(), { signal: controller.signal }), { message: 'stopped' });
    s.same(await namesOf(target), ['zasov-a.age']);
  });

  await t.test('an empty body is an empty object', async (s) => {
    s.match(await target.put('drills/zasov-a.json', pieces()), { bytes: 0 });
    s.equal((await readAll(target, 'drills/zasov-a.json')).length, 0);
  });

  await t.test('names are listed in order, by what they begin with', async (s) => {
    for (const name of ['journal/000000000002-b.age', 'journal/000000000001-a.age', 'zasov-b.age'])
      await target.put(name, pieces(name));
    s.same(await namesOf(target, 'journal/'), ['journal/000000000001-a.age', 'journal/000000000002-b.age']);
    s.same(await namesOf(target, 'journal/000000000002'), ['journal/000000000002-b.age']);
    s.same(await namesOf(target, 'zasov-'), ['zasov-a.age', 'zasov-b.age']);
    s.same(await namesOf(target, 'nothing'), []);
  });

  await t.test('a name that leads elsewhere is refused', async (s) => {
    for (const name of [
      '../a',
      '/a',
      'a/b',
      'journal/../a',
      'journal/',
      '.a',
      'a.partial',
      '',
      'a\0',
      'a b',
      'ж',
    ]) {
      await s.rejects(
        async () => {
          await target.put(name, pieces('x'));
        },
        { code: 'backup_failed' },
        name,
      );
      await s.rejects(() => readAll(target, name), { code: 'backup_failed' }, name);
      await s.rejects(async () => await target.remove(name), { code: 'backup_failed' }, name);
    }
    await s.rejects(async () => await target.list('../'), { code: 'backup_failed' });
  });

  await t.test('what is not there says so when read, and is no failure when removed', async (s) => {
    await s.rejects(readAll(target, 'zasov-x.age'), {
      code: 'backup_failed',
      message: /there is no zasov-x.age/,
    });
    s.equal(await target.remove('zasov-x.age'), 'removed');
  });

  await t.test('what was removed is gone', async (s) => {
    for (const prefix of ['', 'journal/', 'drills/'])
      for (const name of await namesOf(target, prefix)) s.equal(await target.remove(name), 'removed');
    for (const prefix of ['', 'journal/', 'drills/']) s.same(await namesOf(target, prefix), []);
  });
}
