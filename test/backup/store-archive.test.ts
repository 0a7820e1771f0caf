import { readdirSync } from 'node:fs';

import { type Test, test } from 'tap';

import { type ArchiveHead, newArchiveId } from '../../gateway/backup/archive-format.ts';
import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import { type StoredArchive, storeArchive, tidyTarget } from '../../gateway/backup/store-archive.ts';
import { surveyTarget } from '../../gateway/backup/target-survey.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner } from '../../gateway/crypto/signing-key.ts';
import { ManualClock } from '../support/manual-clock.ts';

const signer = createSigner(parseKeyring(createMasterKey()), 'backup-signature');
const signers = [signer.publicKey];
const DAY = 86_400_000;

function place(t: Test) {
  const directory = t.testdir();
  const clock = new ManualClock();
  const target = openDirectoryTarget(directory, { clock });
  const archive = (changes: Partial<StoredArchive> = {}): StoredArchive => {
    const head: ArchiveHead = {
      format: 1,
      id: newArchiveId(),
      kind: 'fleet',
      created_ms: clock.now(),
      version: '0',
      node: 'n',
      journal: { seq: Math.floor(clock.now() / DAY), hash: '' },
      signer: signer.publicKey,
      kids: ['1'],
    };
    return {
      target,
      head,
      body: chunks('one', 'two'),
      signer,
      signal: new AbortController().signal,
      clock,
      confirm: () => Promise.resolve(true),
      onProgress: () => undefined,
      ...changes,
    };
  };
  return { directory, clock, target, archive };
}

async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

await test('an archive is named, read back and vouched for', async (t) => {
  const { target, archive } = place(t);
  const phases = new Set<string>();
  const made = await storeArchive(archive({ onProgress: ({ phase }) => phases.add(phase) }));
  t.match(made, { bytes: 6, archive: /^zasov-.*-fleet-.*\.age$/ });
  t.match((await surveyTarget(target, signers)).archives, [{ archive: made.archive, signed: 'ours' }]);
  t.same([...phases], ['writing', 'reading back']);
});

await test('whoever lost the lease names nothing, and leaves nothing behind', async (t) => {
  const { directory, archive } = place(t);
  await t.rejects(storeArchive(archive({ confirm: () => Promise.resolve(false) })), {
    code: 'backup_failed',
    message: /another node/,
  });
  t.same(readdirSync(directory), []);
});

await test('whoever loses the lease while the archive is read back takes it away again', async (t) => {
  const { directory, archive } = place(t);
  const answers = [true, false];
  await t.rejects(storeArchive(archive({ confirm: () => Promise.resolve(answers.shift() ?? false) })), {
    code: 'backup_failed',
  });
  t.same(readdirSync(directory), []);
});

await test('a source that fails, and a gateway that stops, leave nothing behind', async (t) => {
  const { directory, archive } = place(t);
  async function* failing() {
    yield Buffer.from('begin');
    throw new Error('pg_dump: exit code 1');
  }
  await t.rejects(storeArchive(archive({ body: failing() })), { message: /pg_dump: exit code 1/ });
  const ending = new AbortController();
  async function* stopped() {
    yield Buffer.from('begin');
    ending.abort();
    yield Buffer.from('more');
  }
  await t.rejects(storeArchive(archive({ body: stopped(), signal: ending.signal })));
  t.same(readdirSync(directory), []);
});

await test('old archives go with their notes, and the journal follows the oldest that is left', async (t) => {
  const { clock, target, archive } = place(t);
  const pruned: number[] = [];
  const made: string[] = [];
  for (let day = 0; day < 4; day += 1) {
    made.push((await storeArchive(archive())).archive);
    const notices = await tidyTarget(archive(), {
      keep: { keep: 2 },
      signers,
      pruneJournal: async (seq) => void pruned.push(seq),
    });
    t.same(notices, []);
    clock.advance(DAY);
  }
  const names = (await target.list('')).map(({ name }) => name);
  t.same(
    names,
    made.slice(-2).flatMap((name) => [name, `${name}.json`]),
  );
  t.equal((pruned.at(-1) ?? 0) - (pruned[0] ?? 0), 2);
});

await test('a target that fails at tidying up takes nothing from the new archive', async (t) => {
  const { archive, target } = place(t);
  await storeArchive(archive());
  const broken = { ...target, sweep: () => Promise.reject(new Error('gone')) };
  const notices = await tidyTarget(archive({ target: broken }), {
    keep: { keep: 1 },
    signers,
    pruneJournal: () => Promise.resolve(),
  });
  t.match(notices, [/old ones could not be removed: gone/]);
});
