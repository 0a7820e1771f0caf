import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import {
  Decrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption';
import { test } from 'tap';

import type { ArchiveHead } from '../../gateway/backup/archive-format.ts';
import { collectEntries } from '../../gateway/backup/collect-entries.ts';
import { decryptBytes } from '../../gateway/backup/decrypt.ts';
import { encryptBytes, encryptStream } from '../../gateway/backup/encrypt.ts';
import { runDump } from '../../gateway/backup/include-source.ts';
import { readArchive, readPlainArchive } from '../../gateway/backup/read-archive.ts';
import { type ArchiveEntry, writeArchive } from '../../gateway/backup/write-archive.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner, signerFingerprint } from '../../gateway/crypto/signing-key.ts';

const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const signer = createSigner(parseKeyring(createMasterKey()), 'backup-signature');
const other = createSigner(parseKeyring(createMasterKey()), 'backup-signature');

function headOf(id: string, by = signer): ArchiveHead {
  const journal = { seq: 0, hash: '' };
  const base = { format: 1, id, kind: 'fleet', created_ms: 1_800_000_000_000, version: '0.1.0' } as const;
  return { ...base, node: 'n', journal, signer: by.publicKey, kids: ['1'] };
}

async function* bytes(...parts: (string | Buffer)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function* lines(count: number): AsyncGenerator<string> {
  for (let index = 0; index < count; index += 1) yield JSON.stringify({ id: index, body: 'x'.repeat(100) });
}

async function all(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const ENTRIES: ArchiveEntry[] = [
  { path: 'secrets/master.key', bytes: 5, open: () => bytes('1:abc') },
  { path: 'data/empty', bytes: 0, open: () => bytes() },
  { path: 'data/grows', bytes: 4, open: () => bytes('abcd', 'what was appended meanwhile') },
  { path: `data/${'long/'.repeat(30)}имя`, bytes: 3, open: () => bytes('one') },
  { section: 'keys', open: () => lines(100_000) },
  { section: 'sessions', open: () => lines(0) },
  {
    stream: (part) => `include/db/${String(part).padStart(6, '0')}`,
    open: () => bytes(Buffer.alloc(9 * 1024 * 1024, 7)),
  },
];

async function write(
  options: { id?: string; by?: typeof signer; entries?: ArchiveEntry[]; to?: string[] } = {},
) {
  const { id = 'abcdefgh', by = signer, entries = ENTRIES, to = [recipient] } = options;
  const { stream } = writeArchive({ head: headOf(id, by), entries, recipients: to, signer: by });
  return await all(stream);
}

async function read(archive: Buffer, keys: { identities?: string[]; signer?: string } = {}) {
  const found: Record<string, Buffer> = {};
  const verified = await readArchive(
    bytes(archive),
    { identities: keys.identities ?? [identity], signer: keys.signer },
    async ({ path, body }) => {
      found[path] = await all(body);
    },
  );
  return { found, ...verified };
}

/** The tar of an archive, changed, and encrypted again: what somebody with the public key alone can do. */
async function changed(archive: Buffer, change: (tar: Buffer) => Buffer): Promise<Buffer> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const tar = zstdDecompressSync(await decrypter.decrypt(archive));
  return await all(encryptStream(bytes(zstdCompressSync(change(Buffer.from(tar)))), [recipient]));
}

void test('what was written is read, entry by entry, in its order', async (t) => {
  const { found, head, manifest } = await read(await write(), {
    signer: signerFingerprint(signer.publicKey),
  });
  t.match(head, { id: 'abcdefgh', kind: 'fleet' });
  t.equal(found['secrets/master.key']?.toString(), '1:abc');
  t.equal(found[`data/${'long/'.repeat(30)}имя`]?.toString(), 'one');
  t.equal(found['data/empty']?.length, 0);
  t.equal(found['data/grows']?.toString(), 'abcd');
  const keys = Object.keys(found).filter((path) => path.startsWith('store/keys-'));
  t.ok(keys.length > 2);
  t.equal(
    Buffer.concat(keys.map((path) => found[path] ?? Buffer.alloc(0)))
      .toString()
      .trim()
      .split('\n').length,
    100_000,
  );
  t.match(manifest.sections, [
    { name: 'keys', records: 100_000 },
    { name: 'sessions', records: 0 },
  ]);
  t.same(
    Object.keys(found).filter((path) => path.startsWith('include/')),
    ['include/db/000001', 'include/db/000002', 'include/db/000003'],
  );
});

void test('it is a tar of POSIX in zstd in age, which other programs open', async (t) => {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const tar = zstdDecompressSync(await decrypter.decrypt(await write()));
  const directory = t.testdir({});
  const unpacked = spawnSync('tar', ['-x', '-C', directory], { input: tar });
  t.equal(unpacked.status, 0, unpacked.stderr.toString());
  t.equal(readFileSync(join(directory, 'data/grows'), 'utf8'), 'abcd');
  t.equal(readFileSync(join(directory, `data/${'long/'.repeat(30)}имя`), 'utf8'), 'one');
});

void test('whatever is not as it was written is refused', async (t) => {
  const small = ENTRIES.slice(0, 4);
  const archive = await write({ entries: small });
  const older = await write({ entries: small, id: 'older222' });
  const refused = (says: string, body: Buffer) => t.rejects(read(body), { code: 'backup_invalid' }, says);
  for (let at = 0; at < archive.length; at += Math.ceil(archive.length / 40)) {
    const flipped = Buffer.from(archive);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    await refused(`one bit of byte ${at}`, flipped);
    await refused(`cut at byte ${at}`, archive.subarray(0, at));
  }
  await refused('a byte more', Buffer.concat([archive, Buffer.from([0])]));
  await refused('two archives', Buffer.concat([archive, archive]));
  const block = (tar: Buffer, name: string) => tar.indexOf(name);
  await refused(
    'an entry that was changed',
    await changed(archive, (tar) => Buffer.from(tar.toString('latin1').replace('1:abc', '1:abd'), 'latin1')),
  );
  await refused(
    'entries that were swapped',
    await changed(archive, (tar) => {
      const [one, two, end] = [
        block(tar, 'data/empty'),
        block(tar, 'data/grows'),
        block(tar, 'manifest.json'),
      ];
      return Buffer.concat([
        tar.subarray(0, one),
        tar.subarray(two, end),
        tar.subarray(one, two),
        tar.subarray(end),
      ]);
    }),
  );
  await refused(
    'an entry that is gone',
    await changed(archive, (tar) =>
      Buffer.concat([tar.subarray(0, block(tar, 'data/grows')), tar.subarray(block(tar, 'manifest.json'))]),
    ),
  );
  await refused(
    'no manifest',
    await changed(archive, (tar) =>
      Buffer.concat([tar.subarray(0, block(tar, 'manifest.json')), Buffer.alloc(1024)]),
    ),
  );
  let manifest = Buffer.alloc(0);
  await changed(older, (tar) => (manifest = Buffer.from(tar.subarray(block(tar, 'manifest.json')))));
  await refused(
    'an older manifest',
    await changed(archive, (tar) => Buffer.concat([tar.subarray(0, block(tar, 'manifest.json')), manifest])),
  );
  await refused('something behind its end', await changed(archive, (tar) => Buffer.concat([tar, tar])));
  await t.resolves(read(await changed(archive, (tar) => tar)), 'and what is only encrypted anew is not');
});

void test('an archive of somebody else is refused: other recipients, another signer', async (t) => {
  const small = ENTRIES.slice(0, 1);
  const stranger = await generateX25519Identity();
  await t.rejects(read(await write({ entries: small }), { identities: [stranger] }), {
    code: 'backup_invalid',
    message: /other recipients/,
  });
  const forged = await write({ entries: small, by: other });
  await t.resolves(read(forged));
  await t.rejects(read(forged, { signer: signerFingerprint(signer.publicKey) }), {
    code: 'backup_invalid',
    message: /made by somebody else/,
  });
});

void test('each of several recipients opens it, the post-quantum kind too', async (t) => {
  const hybrid = await generateHybridIdentity();
  const to = [recipient, await identityToRecipient(hybrid)];
  const archive = await write({ entries: ENTRIES.slice(0, 1), to });
  for (const each of [identity, hybrid])
    t.match((await read(archive, { identities: [each] })).head, { id: 'abcdefgh' });
});

void test('something small is encrypted and opened as a whole', async (t) => {
  const sealed = await encryptBytes(Buffer.from('a segment'), [recipient]);
  t.equal(Buffer.from(await decryptBytes(sealed, [identity])).toString(), 'a segment');
  await t.rejects(decryptBytes(sealed.subarray(0, -1), [identity]), { code: 'backup_invalid' });
});

void test('the tar alone is checked in the same way', async (t) => {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const tar = Buffer.from(
    zstdDecompressSync(await decrypter.decrypt(await write({ entries: ENTRIES.slice(0, 2) }))),
  );
  const check = (body: Buffer) => readPlainArchive(bytes(body), undefined, () => Promise.resolve());
  t.match(await check(tar), { head: { id: 'abcdefgh' } });
  await t.rejects(check(tar.subarray(0, -1024)), { code: 'backup_invalid' });
});

void test('what the visitor fails with is what the reader fails with', async (t) => {
  const archive = await write({ entries: ENTRIES.slice(0, 2) });
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  await t.rejects(
    readArchive(bytes(archive), { identities: [identity] }, () => Promise.reject(full)),
    full,
  );
});

void test('what shrinks while it is copied fails the archive', async (t) => {
  const entries: ArchiveEntry[] = [{ path: 'data/x', bytes: 10, open: () => bytes('short') }];
  await t.rejects(write({ entries }), { message: /became shorter/ });
  const failing: ArchiveEntry[] = [
    {
      stream: (part) => `include/db/${part}`,
      open: () =>
        runDump(['sh', '-c', 'echo half; echo "no such database" >&2; exit 3'], { timeoutMs: 10_000 }),
    },
  ];
  await t.rejects(write({ entries: failing }), {
    code: 'backup_failed',
    message: /ended with 3: no such database/,
  });
});

void test('of the data directory everything is taken but what is made anew', async (t) => {
  const data = t.testdir({});
  for (const directory of ['tls', 'admin', 'audit', 'audit-heads', 'policies-in-force/1'])
    mkdirSync(join(data, directory), { recursive: true });
  const files = [
    'tls/ca.key',
    'admin/ca.pem',
    'sessions.db',
    'keys.db-wal',
    'master.key',
    'master.check',
    'x.tmp',
    'policies-in-force/1/a.yaml',
  ];
  for (const file of [...files, 'audit/a-1.000001.jsonl', 'audit-heads/a-1.head', 'audit-heads/node.db'])
    writeFileSync(join(data, file), file);
  const paths = [];
  const from = {
    data,
    trail: join(data, 'audit'),
    heads: join(data, 'audit-heads'),
    policies: [{ name: 'p.yaml', text: 'x' }],
  };
  for await (const entry of collectEntries({ ...from, masterKey: '1:k', store: undefined, includes: [] }))
    if ('path' in entry) paths.push(entry.path);
  t.same(paths, [
    'secrets/master.key',
    'policies/p.yaml',
    'audit/heads/a-1.head',
    'audit/trail/a-1.000001.jsonl',
    'data/admin/ca.pem',
    'data/master.check',
    'data/tls/ca.key',
  ]);
});
