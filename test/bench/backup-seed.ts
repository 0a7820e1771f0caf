import { hash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { trailFileName } from '../../gateway/audit/trail-file.ts';
import { headsDirectory } from '../../gateway/audit/trail-head.ts';
import { newLineage } from '../../gateway/api-key/key-format.ts';
import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { openStoreLoad } from '../../gateway/store/open-store-copy.ts';
import type { CopiedKey } from '../../gateway/store/store-copy.ts';
import { openPolicy, regionOf } from '../support/open-policy.ts';

/** What a backup is measured with. */
export interface BackupSize {
  readonly keys: number;
  readonly records: number;
}

/** Keys that go into one transaction. */
const BATCH = 10_000;
const CHUNK_BYTES = 1024 * 1024;
/** As long as the trail's own files. */
const FILE_BYTES = 16 * 1024 * 1024;
const WRITER = '0a1b2c3d-1';
const BEGAN_MS = Date.UTC(2026, 0, 1);
const YEAR_MS = 365 * 24 * 3_600_000;

/** Makes a data directory with an embedded store of API keys, a trail and a policy. */
export async function seedData(data: string, policies: string, { keys, records }: BackupSize): Promise<void> {
  mkdirSync(data, { mode: 0o700 });
  mkdirSync(policies);
  writeFileSync(join(data, 'master.key'), createMasterKey(), { mode: 0o600 });
  writeFileSync(join(policies, 'policy.yaml'), openPolicy(regionOf('here', 'http://127.0.0.1:9')));
  await seedKeys(data, keys);
  seedTrail(data, records);
}

async function seedKeys(data: string, count: number): Promise<void> {
  const load = await openStoreLoad({ choice: { kind: 'embedded' }, data, environment: {} });
  await load.begin();
  for (let from = 0; from < count; from += BATCH)
    await load.putKeys(Array.from({ length: Math.min(BATCH, count - from) }, newKey));
  await load.finish();
  await load.close();
}

/** What is sealed looks drawn at random and does not compress. Every second key was used. */
function newKey(_: unknown, index: number): CopiedKey {
  const key = {
    lineage: newLineage(),
    version: 3,
    person: randomBytes(32).toString('base64url'),
    dueMs: BEGAN_MS + YEAR_MS,
    body: randomBytes(600),
  };
  return index % 2 === 0 ? key : { ...key, use: { atMs: BEGAN_MS, sealed: randomBytes(90) } };
}

/** Lines in the form and length of real ones, over a year; their codes and hashes are drawn at random. */
function seedTrail(data: string, count: number): void {
  const trail = join(data, 'audit');
  mkdirSync(trail, { mode: 0o700 });
  mkdirSync(headsDirectory(data), { mode: 0o700 });
  let number = 0;
  let seq = 0;
  let prev = '0'.repeat(64);
  while (seq < count) {
    const file = openSync(join(trail, trailFileName(WRITER, (number += 1))), 'w', 0o600);
    for (let bytes = 0; bytes < FILE_BYTES && seq < count;) {
      let chunk = '';
      while (chunk.length < CHUNK_BYTES && seq < count) {
        seq += 1;
        const own = randomBytes(32).toString('hex');
        chunk += trailLine(seq, prev, own, new Date(BEGAN_MS + (seq * YEAR_MS) / count).toISOString());
        prev = own;
      }
      bytes += writeSync(file, chunk);
    }
    closeSync(file);
  }
}

/** By hand and not by `lineOf`, which takes longer than the backup itself. */
function trailLine(seq: number, prev: string, own: string, time: string): string {
  // A thousand people come again and again.
  const person = hash('sha256', String(seq % 1000), 'base64url');
  const mac = randomBytes(16).toString('base64url');
  const facts = `{"account":"main","from":"anonymous","person":"${person}","session":"${own.slice(0, 22)}"}`;
  return `{"event":"session.signed_in","facts":${facts},"hash":"${own}","mac":"1.${mac}","prev":"${prev}","seq":${seq},"time":"${time}","writer":"${WRITER}"}\n`;
}
