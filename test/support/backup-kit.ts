import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';

import { archiveName, newArchiveId } from '../../gateway/backup/archive-format.ts';
import { collectEntries } from '../../gateway/backup/collect-entries.ts';
import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import { encryptBytes } from '../../gateway/backup/encrypt.ts';
import { JOURNALED_KINDS, segmentName, writeSegment } from '../../gateway/backup/journal-segment.ts';
import { fetchDump, runDump } from '../../gateway/backup/include-source.ts';
import { writeArchive } from '../../gateway/backup/write-archive.ts';
import { loadPolicyAlone } from '../../gateway/policy/load-policy.ts';
import { openStoreCopy } from '../../gateway/store/open-store-copy.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner, signerFingerprint } from '../../gateway/crypto/signing-key.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { openStore, type StoreChoice } from '../../gateway/store/open-store.ts';

interface Place {
  readonly data: string;
  readonly policies: string;
  readonly target: string;
  readonly identity: string;
  readonly redis: { readonly port: number } | undefined;
}

/** Writes archives and segments of the journal of a running gateway, in the manner of its own processes. */
export class BackupKit {
  recipient = '';
  readonly #place: Place;
  #seq = 0;
  #hash = '';
  constructor(place: Place) {
    this.#place = place;
  }
  async makeIdentity(): Promise<void> {
    const identity = await generateX25519Identity();
    this.recipient = await identityToRecipient(identity);
    writeFileSync(this.#place.identity, `# kept in a safe\n${identity}\n`);
  }
  signer(): string {
    return signerFingerprint(this.#signer().publicKey);
  }
  #signer() {
    return createSigner(
      parseKeyring(readFileSync(join(this.#place.data, 'master.key'), 'utf8')),
      'backup-signature',
    );
  }
  #choice(): StoreChoice {
    const { redis } = this.#place;
    if (redis === undefined) return { kind: 'embedded' };
    return {
      kind: 'redis',
      place: { kind: 'single', url: `redis://127.0.0.1:${redis.port}` },
      password: undefined,
    };
  }

  async #store() {
    return await openStore({
      choice: this.#choice(),
      data: this.#place.data,
      environment: {},
      transitions: familyTransitions,
      clock: systemClock,
      onUnreplicated: () => undefined,
    });
  }
  /** Writes an archive as the gateway does. @param recipient somebody else's. @returns its path. */
  async archive(recipient = this.recipient): Promise<string> {
    const { data, policies, target } = this.#place;
    const store = await openStoreCopy({ choice: this.#choice(), data, environment: {} });
    const createdMs = Date.now();
    const id = newArchiveId();
    const name = archiveName({ kind: 'fleet', id, createdMs });
    const signer = this.#signer();
    const includes = loadPolicyAlone(policies);
    const { stream } = writeArchive({
      head: {
        format: 1,
        id,
        kind: 'fleet',
        created_ms: createdMs,
        version: '0.1.0',
        node: 'test',
        journal: { seq: this.#seq, hash: this.#hash },
        signer: signer.publicKey,
        kids: ['1'],
      },
      entries: collectEntries({
        data,
        trail: join(data, 'audit'),
        heads: join(data, 'audit-heads'),
        policies: readdirSync(policies)
          .toSorted()
          .map((file) => ({
            name: file,
            text: readFileSync(join(policies, file), 'utf8'),
          })),
        masterKey: readFileSync(join(data, 'master.key'), 'utf8'),
        store,
        includes: ('policy' in includes ? (includes.policy.backup?.include ?? []) : []).map(
          ({ name: source, from, timeoutMs }) => ({
            name: source,
            open: () =>
              'command' in from
                ? runDump(from.command, { timeoutMs })
                : fetchDump(from.url, undefined, { timeoutMs }),
          }),
        ),
      }),
      recipients: [recipient],
      signer,
    });
    await openDirectoryTarget(target, { clock: systemClock }).put(name, stream);
    await store.close();
    return join(target, name);
  }

  async journal(): Promise<void> {
    const store = await this.#store();
    const { data, target } = this.#place;
    const kinds = await Promise.all(JOURNALED_KINDS.map((kind) => store.records.list(kind)));
    const content = {
      chain: 'test',
      seq: this.#seq + 1,
      prev: this.#hash,
      atMs: Date.now(),
      keys: await store.keys.list(),
      records: kinds.flat(),
      audit: readdirSync(join(data, 'audit-heads'))
        .filter((name) => name.endsWith('.head'))
        .map((name) => ({ name, text: readFileSync(join(data, 'audit-heads', name), 'utf8') })),
    };
    await store.close();
    const segment = writeSegment(content, this.#signer());
    this.#seq += 1;
    this.#hash = segment.hash;
    mkdirSync(join(target, 'journal'), { recursive: true });
    const sealed = await encryptBytes(Buffer.from(segment.text), [this.recipient]);
    writeFileSync(join(target, segmentName(this.#seq, segment.hash)), sealed);
  }
}
