import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { test } from 'tap';

import type { ArchiveHead } from '../../gateway/backup/archive-format.ts';
import { collectEntries } from '../../gateway/backup/collect-entries.ts';
import { checkInScratch } from '../../gateway/backup/scratch-check.ts';
import { watchScratchCheck } from '../../gateway/backup/scratch-checker.ts';
import { type ArchiveEntry, writeArchive } from '../../gateway/backup/write-archive.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner } from '../../gateway/crypto/signing-key.ts';
import { openEmbeddedCopy } from '../../gateway/store/embedded-copy.ts';
import { openEmbeddedLoad } from '../../gateway/store/embedded-load.ts';

const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';
const PROGRAM = new URL('../../gateway/zasov.mjs', import.meta.url).pathname;
const signer = createSigner(parseKeyring(createMasterKey()), 'backup-signature');
const head: ArchiveHead = {
  format: 1,
  id: 'abcdefgh',
  kind: 'fleet',
  created_ms: 1_800_000_000_000,
  version: '0.1.0',
  node: 'n',
  journal: { seq: 0, hash: '' },
  signer: signer.publicKey,
  kids: ['1'],
};

async function fill(data: string): Promise<void> {
  const load = openEmbeddedLoad(data);
  await load.begin();
  const bytes = (index: number) => Buffer.alloc(40, index);
  const numbers = Array.from({ length: 1200 }, (_, index) => index);
  await load.putRecords([{ kind: 'region', id: 'вне ASCII', version: 7, body: bytes(1) }]);
  await load.putKeys(
    numbers.map((index) => ({
      lineage: `k${index}`,
      version: index + 1,
      person: `p${index % 7}`,
      dueMs: index,
      body: bytes(index),
      ...(index % 3 === 0 && { use: { atMs: index, sealed: bytes(index) } }),
    })),
  );
  await load.putSessions(
    numbers.map((index) => ({ id: `f${index}`, createdMs: index, endsMs: index + 9, generation: index })),
  );
  await load.finish();
}

function entriesOf(data: string): AsyncIterable<ArchiveEntry> {
  const store = openEmbeddedCopy(data);
  const trail = join(data, 'audit');
  const heads = join(data, 'audit-heads');
  return collectEntries({ data, trail, heads, policies: [], masterKey: '1:k', store, includes: [] });
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

async function tarOf(entries: AsyncIterable<ArchiveEntry>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const onPlain = (chunk: Uint8Array) => void chunks.push(Buffer.from(chunk));
  await drain(writeArchive({ head, entries, recipients: [RECIPIENT], signer, onPlain }).stream);
  return Buffer.concat(chunks);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

void test('an archive is restored into a store of its own, and comes back record by record', async (t) => {
  const data = t.testdir({});
  await fill(data);
  const scratch = join(data, 'backup/scratch');
  t.equal(await checkInScratch(once(await tarOf(entriesOf(data))), scratch), 2401);
  t.notOk(existsSync(scratch), 'nothing of it stays');
});

void test('a record that a store would not give back as it is fails the check, and nothing stays', async (t) => {
  const scratch = join(t.testdir({}), 'scratch');
  const entries = (...sections: [string, string[]][]) => {
    async function* all(): AsyncGenerator<ArchiveEntry> {
      for (const [section, lines] of sections)
        yield {
          section,
          open: async function* open() {
            yield* lines;
          },
        };
    }
    return all();
  };
  const key = (lineage: string) =>
    `{"lineage":"${lineage}","version":1,"person":"p","due_ms":1,"body":"AAAA"}`;
  const check = async (from: AsyncIterable<ArchiveEntry>) =>
    await checkInScratch(once(await tarOf(from)), scratch);
  t.equal(await check(entries(['keys', [key('a'), key('b')]])), 2);
  for (const lines of [
    [key('b'), key('a')],
    [key('a'), key('a')],
    [key('a').replace('AAAA', 'AAAB')],
    [key('a').replace('{', '{"more":1,')],
  ])
    if (lines[0]?.includes('AAAB') === true) t.equal(await check(entries(['keys', lines])), 1);
    else await t.rejects(check(entries(['keys', lines])), { code: 'backup_invalid' }, lines.join(' '));
  await t.rejects(check(entries(['others', ['{}']])), { code: 'backup_failed' }, 'no archive has it');
  t.notOk(existsSync(scratch));
});

void test('the archive ends only when its check in another process has', async (t) => {
  const data = t.testdir({});
  await fill(data);
  const start = (directory: string) =>
    watchScratchCheck(
      spawn(process.execPath, [PROGRAM, 'backup-check', directory], { stdio: ['pipe', 'ignore', 'pipe'] }),
    );
  const write = (directory: string, spoil: (chunk: Uint8Array) => Uint8Array) => {
    const checker = start(directory);
    const onPlain = (chunk: Uint8Array) => checker.take(spoil(chunk));
    const { stream } = writeArchive({
      head,
      entries: entriesOf(data),
      recipients: [RECIPIENT],
      signer,
      onPlain,
    });
    return drain(checker.checked(stream));
  };
  await write(join(data, 'backup/one'), (chunk) => chunk);
  t.notOk(existsSync(join(data, 'backup/one')));
  const spoil = (chunk: Uint8Array) =>
    Buffer.from(
      Buffer.from(chunk).toString('latin1').replace('"lineage":"k77"', '"lineage":"k78"'),
      'latin1',
    );
  await t.rejects(write(join(data, 'backup/two'), spoil), {
    code: 'backup_failed',
    message: /could not be restored for a test/,
  });
  t.notOk(existsSync(join(data, 'backup/two')));
  await t.rejects(
    write(join(data, 'keys.db/no'), (chunk) => chunk),
    { code: 'backup_failed' },
  );
});
