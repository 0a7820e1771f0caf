import { createHash } from 'node:crypto';

import type { ArchiveHead } from '../../gateway/backup/archive-format.ts';
import { type ManifestEntry, writeManifest } from '../../gateway/backup/archive-manifest.ts';
import { readPlainArchive } from '../../gateway/backup/read-archive.ts';
import { padding, tarEnd, tarHeader } from '../../gateway/backup/tar-format.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner } from '../../gateway/crypto/signing-key.ts';

/** Signs whatever a test makes. */
export const signer = createSigner(parseKeyring(createMasterKey()), 'backup-signature');
/** When it was made. */
export const CREATED_MS = 1_800_000_000_000;
/** A head that is right. */
export const HEAD: ArchiveHead = {
  format: 1,
  id: 'abcdefgh',
  kind: 'fleet',
  created_ms: CREATED_MS,
  version: '0.1.0',
  node: 'n',
  journal: { seq: 0, hash: '' },
  signer: signer.publicKey,
  kids: ['1'],
};
/** A stream of these chunks. */
export async function* stream(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

/** All of a stream. */
export async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Hexadecimal. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A file of a tar. */
export function file(path: string, body: Buffer, header = tarHeader(path, body.length, CREATED_MS)): Buffer {
  return Buffer.concat([header, body, padding(body.length)]);
}

/** What is changed of an archive that would be right. */
export interface Forgery {
  readonly head?: unknown;
  /** Changes the bytes of the entry with this path. */
  readonly spoil?: Record<string, (whole: Buffer) => Buffer>;
  readonly manifest?: (entries: ManifestEntry[]) => unknown[];
  readonly sections?: (sections: object[]) => object[];
  readonly end?: Buffer;
}

/** A tar whose manifest is signed and names what is in it, whatever that is. */
export function forge(paths: readonly string[], forgery: Forgery = {}): Buffer {
  const { head = HEAD, spoil = {}, end = tarEnd() } = forgery;
  const files = paths.map((path) => ({ path, body: Buffer.from(`{"path":${JSON.stringify(path)}}\n`) }));
  const first = { path: 'zasov.json', body: Buffer.from(`${JSON.stringify(head)}\n`) };
  const rows = [first, ...files].map(({ path, body }) => ({
    path,
    bytes: body.length,
    sha256: sha256(body),
  }));
  const sections = sectionsOf(files);
  const manifest = {
    format: 1,
    id: 'abcdefgh',
    entries: forgery.manifest?.(rows) ?? rows,
    sections: forgery.sections?.(sections) ?? sections,
  };
  const text = writeManifest(manifest as Parameters<typeof writeManifest>[0], signer);
  return Buffer.concat([
    file(first.path, first.body),
    ...files.map(({ path, body }) => (spoil[path] ?? ((whole) => whole))(file(path, body))),
    file('manifest.json', Buffer.from(text)),
    end,
  ]);
}

function sectionsOf(files: readonly { readonly path: string; readonly body: Buffer }[]) {
  const texts = new Map<string, string>();
  for (const { path, body } of files) {
    const [, section] = /^store\/([a-z]+)-\d{5}\.jsonl$/.exec(path) ?? [];
    if (section !== undefined) texts.set(section, (texts.get(section) ?? '') + body.toString());
  }
  return [...texts].map(([name, text]) => ({
    name,
    records: text.split('\n').length - 1,
    sha256: sha256(text),
  }));
}

/** Reads a tar. @returns the paths that reached whoever reads it, and what it was refused with. */
export async function outcome(tar: Uint8Array): Promise<{ seen: string[]; says: string | undefined }> {
  const seen: string[] = [];
  const visit = ({ path }: { path: string }) => Promise.resolve(void seen.push(path));
  try {
    await readPlainArchive(stream(tar), undefined, visit);
    return { seen, says: undefined };
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'backup_invalid') throw error;
    return { seen, says: (error as Error).message };
  }
}
