/** Changes of real archives, and archives that are made to fill the memory of whoever reads them. */
import { constants, zstdCompressSync } from 'node:zlib';

import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { test } from 'tap';

import { encryptStream } from '../../gateway/backup/encrypt.ts';
import { type ArchiveVisitor, readArchive } from '../../gateway/backup/read-archive.ts';
import { tarHeader } from '../../gateway/backup/tar-format.ts';
import { type ArchiveEntry, writeArchive } from '../../gateway/backup/write-archive.ts';
import { all, CREATED_MS, file, HEAD, outcome, signer, stream } from '../support/forged-archive.ts';
import * as fc from '../support/property-based.ts';

const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);

const ENTRIES: ArchiveEntry[] = [
  { path: 'secrets/master.key', bytes: 5, open: () => stream(Buffer.from('1:abc')) },
  { path: `data/${'long/'.repeat(30)}имя`, bytes: 700, open: () => stream(Buffer.alloc(700, 'a')) },
  {
    section: 'keys',
    open: async function* open() {
      for (let index = 0; index < 20; index += 1) yield JSON.stringify({ id: index });
    },
  },
  {
    stream: (part) => `include/db/${String(part).padStart(6, '0')}`,
    open: () => stream(Buffer.from('dump')),
  },
];

async function realArchive(): Promise<{ tar: Buffer; sealed: Buffer }> {
  const plain: Buffer[] = [];
  const sealed = await all(
    writeArchive({
      head: HEAD,
      entries: ENTRIES,
      recipients: [recipient],
      signer,
      onPlain: (chunk) => void plain.push(Buffer.from(chunk)),
    }).stream,
  );
  return { tar: Buffer.concat(plain), sealed };
}

/** Bytes that were flipped, cut out, put in, doubled and swapped. */
function mutations(of: Buffer, block: number): fc.Arbitrary<Buffer> {
  const place = fc.nat(of.length - 1);
  const range = fc.tuple(place, fc.integer({ min: 1, max: 4 })).map(([at, blocks]) => {
    const from = at - (at % block);
    return [from, Math.min(of.length, from + blocks * block)] as const;
  });
  const step: fc.Arbitrary<(bytes: Buffer) => Buffer> = fc.oneof(
    fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([at, mask]) => (bytes: Buffer) => {
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ mask;
      return bytes;
    }),
    place.map((at) => (bytes: Buffer) => bytes.subarray(0, at)),
    range.map(
      ([from, to]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]),
    ),
    range.map(
      ([from, to]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]),
    ),
    fc.tuple(range, place).map(([[from, to], at]) => (bytes: Buffer) => {
      const aligned = at - (at % block);
      return Buffer.concat([bytes.subarray(0, aligned), bytes.subarray(from, to), bytes.subarray(aligned)]);
    }),
    fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 40 })).map(
      ([at, more]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]),
    ),
  );
  return fc
    .array(step, { minLength: 1, maxLength: 3 })
    .map((steps) => steps.reduce((bytes, change) => Buffer.from(change(bytes)), Buffer.from(of)));
}

void test('no change of an archive, under its encryption or of it, is taken for the archive', async (t) => {
  const { tar, sealed } = await realArchive();
  t.equal((await outcome(tar)).says, undefined);
  await fc.assert(
    fc.asyncProperty(mutations(tar, 512), async (changed) => {
      if (changed.equals(tar)) return;
      const { says } = await outcome(changed);
      if (says === undefined) throw new Error('it was taken');
    }),
    { numRuns: 800 },
  );
  await fc.assert(
    fc.asyncProperty(mutations(sealed, 16), async (changed) => {
      if (changed.equals(sealed)) return;
      const reading = readArchive(stream(changed), { identities: [identity] }, () => Promise.resolve());
      const code = await reading.then(
        () => 'taken',
        (error: { code?: unknown }) => error.code,
      );
      if (code !== 'backup_invalid') throw new Error(String(code));
    }),
    { numRuns: 150 },
  );
});

/** A source that counts what is taken of it; after `begin` the same chunk for ever. */
function endless(begin: string, chunk: Buffer): { source: AsyncIterable<Uint8Array>; taken: () => number } {
  let taken = 0;
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(begin);
    for (;;) {
      taken += chunk.length;
      yield chunk;
    }
  }
  return { source: source(), taken: () => taken };
}

void test('an age header that does not end, or is for thousands, is refused while it is short', async (t) => {
  const head = 'age-encryption.org/v1\n';
  const stanza = `-> X25519 ${'A'.repeat(43)}\n${'B'.repeat(43)}\n`;
  const cases: Record<string, [begin: string, chunk: string, says: RegExp]> = {
    'one line for ever': [head, 'x'.repeat(65_536), /header does not end/],
    'an argument for ever': [`${head}-> X25519 `, 'A'.repeat(65_536), /header does not end/],
    'a body for ever': [`${head}-> X25519 A\n`, `${'A'.repeat(64)}\n`.repeat(1000), /header does not end/],
    'recipients for ever': [head, stanza.repeat(10), /more than 64 recipients/],
    'a last line for ever': [`${head}${stanza}--- `, 'A'.repeat(65_536), /header does not end/],
    'no age file': ['', '\0'.repeat(65_536), /no age file/],
    'another version': ['age-encryption.org/v2\n', 'x', /no age file/],
  };
  for (const [what, [begin, chunk, says]] of Object.entries(cases)) {
    const { source, taken } = endless(begin, Buffer.from(chunk));
    const reading = readArchive(source, { identities: [identity] }, () => Promise.resolve());
    await t.rejects(reading, { code: 'backup_invalid', message: says }, what);
    t.ok(taken() <= 512 * 1024, `${what}: ${taken()} bytes were taken`);
  }
  for (const cut of ['', 'age-encr', head, `${head}${stanza}`, `${head}${stanza}---`])
    await t.rejects(
      readArchive(stream(Buffer.from(cut)), { identities: [identity] }, () => Promise.resolve()),
      { code: 'backup_invalid', message: /no age file: it ends in its header/ },
      cut,
    );
});

void test('an archive for 64 recipients opens, in chunks of any size, and one for more is not made', async (t) => {
  const { tar } = await realArchive();
  const to = Array.from({ length: 64 }, () => recipient);
  const sealed = await all(encryptStream(stream(zstdCompressSync(tar)), to));
  const bytewise = Array.from(sealed.subarray(0, 9000), (_, at) => sealed.subarray(at, at + 1));
  const chunks = stream(...bytewise, sealed.subarray(9000));
  t.match(await readArchive(chunks, { identities: [identity] }, () => Promise.resolve()), { head: HEAD });
  await t.rejects(all(encryptStream(stream(tar), [...to, recipient])), {
    code: 'backup_failed',
    message: /has 65, and 64 are possible/,
  });
  const encrypter = new Encrypter();
  for (const each of [...to, recipient]) encrypter.addRecipient(each);
  const crowded = Buffer.from(await encrypter.encrypt(zstdCompressSync(tar)));
  await t.rejects(
    readArchive(stream(crowded), { identities: [identity] }, () => Promise.resolve()),
    { code: 'backup_invalid', message: /more than 64 recipients/ },
  );
});

async function encrypted(compressed: Uint8Array): Promise<Buffer> {
  return await all(encryptStream(stream(compressed), [recipient]));
}

void test('what blows up when it is decompressed is never held: no window over 8 MiB, no body at once', async (t) => {
  const read = async (compressed: Uint8Array, visit: ArchiveVisitor = () => Promise.resolve()) =>
    await readArchive(stream(await encrypted(compressed)), { identities: [identity] }, visit);
  // Magic, a frame without its size, its window (2^27 and 2^23), an empty last block (RFC 8878 section 3.1.1).
  const frame = (window: number) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3, 1, 0, 0]);
  await t.rejects(read(frame(27)), { code: 'backup_invalid', message: /memory/ });
  await t.rejects(read(frame(24)), { code: 'backup_invalid', message: /memory/ });
  await t.rejects(read(frame(23)), { code: 'backup_invalid', message: /its end is missing/ });
  const head = file('zasov.json', Buffer.from(JSON.stringify(HEAD)));
  const size = 256 * 1024 * 1024;
  const long = Buffer.alloc(size);
  tarHeader('data/a', size, CREATED_MS).copy(long, head.copy(long));
  const params = { [constants.ZSTD_c_windowLog]: 20 };
  let longest = 0;
  await t.rejects(
    read(zstdCompressSync(long, { params }), async ({ body }) => {
      for await (const chunk of body) longest = Math.max(longest, chunk.length);
    }),
    { code: 'backup_invalid' },
  );
  t.ok(longest > 0 && longest <= 1024 * 1024, `the longest chunk has ${longest} bytes`);
});
