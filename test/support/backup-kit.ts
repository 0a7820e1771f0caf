import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../gateway/core/clock.ts';
import { parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner, signerFingerprint } from '../../gateway/crypto/signing-key.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import type { RecordKind } from '../../gateway/store/record-store.ts';

interface Place {
  readonly data: string;
  readonly policies: string;
  readonly target: string;
  readonly identity: string;
  readonly redis: { readonly port: number } | undefined;
}

/** STAND-IN. */
export class BackupKit {
  readonly recipient = '';
  readonly #place: Place;
  #seq = 0;
  #archives = 0;
  constructor(place: Place) {
    this.#place = place;
  }
  async makeIdentity(): Promise<void> {
    writeFileSync(this.#place.identity, 'AGE-SECRET-KEY-1\n');
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
  async #store() {
    const { redis } = this.#place;
    return await openStore({
      choice:
        redis === undefined
          ? { kind: 'embedded' }
          : {
              kind: 'redis',
              place: { kind: 'single', url: `redis://127.0.0.1:${redis.port}` },
              password: undefined,
            },
      data: this.#place.data,
      environment: {},
      transitions: familyTransitions,
      clock: systemClock,
      onUnreplicated: () => undefined,
    });
  }
  async archive(_recipient?: string): Promise<string> {
    const { data, policies, target } = this.#place;
    const out: string[] = [];
    const put = (path: string, body: Buffer | string) =>
      out.push(JSON.stringify({ path, body: Buffer.from(body).toString('base64') }));
    put(
      'zasov.json',
      JSON.stringify({
        format: 1,
        id: 'abcdefgh',
        kind: 'fleet',
        created_ms: Date.now(),
        version: 'x',
        node: 'n',
        journal: { seq: this.#seq, hash: '' },
        signer: this.#signer().publicKey,
        kids: ['1'],
      }),
    );
    put('secrets/master.key', readFileSync(join(data, 'master.key')));
    for (const n of readdirSync(policies)) put('policies/' + n, readFileSync(join(policies, n)));
    for (const e of readdirSync(data, { recursive: true, withFileTypes: true })) {
      if (!e.isFile()) continue;
      const p = join(e.parentPath, e.name).slice(data.length + 1);
      if (!/\.db|audit|\.sock|\.lock|master.key|policies-in-force/.test(p))
        put('data/' + p, readFileSync(join(data, p)));
    }
    for (const n of readdirSync(join(data, 'audit-heads')))
      if (n.endsWith('.head')) put('audit/heads/' + n, readFileSync(join(data, 'audit-heads', n)));
    for (const n of readdirSync(join(data, 'audit')))
      put('audit/trail/' + n, readFileSync(join(data, 'audit', n)));
    const store = await this.#store();
    put('store/records-00001.jsonl', (await this.#records(store)).map((x) => JSON.stringify(x)).join('\n'));
    put('store/keys-00001.jsonl', (await this.#keys(store)).map((x) => JSON.stringify(x)).join('\n'));
    await store.close();
    put('store/sessions-00001.jsonl', '');
    const file = join(target, `zasov-2026112${this.#archives++}T030000Z-fleet-k3j5q2ab.age`);
    writeFileSync(file, out.join('\n') + '\n"end"\n');
    return file;
  }
  async journal(): Promise<void> {
    const store = await this.#store();
    const { data, target } = this.#place;
    const segment = {
      at_ms: Date.now(),
      keys: await this.#keys(store),
      records: await this.#records(store),
      audit: readdirSync(join(data, 'audit-heads'))
        .filter((n) => n.endsWith('.head'))
        .map((name) => ({ name, text: readFileSync(join(data, 'audit-heads', name), 'utf8') })),
    };
    await store.close();
    mkdirSync(join(target, 'journal'), { recursive: true });
    const text = JSON.stringify(segment);
    writeFileSync(
      join(
        target,
        'journal',
        `${String(++this.#seq).padStart(12, '0')}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}.age`,
      ),
      text,
    );
  }
  async #keys(store: Awaited<ReturnType<typeof openStore>>) {
    return (await store.keys.list()).map((x) => ({
      lineage: x.lineage,
      version: x.version,
      person: x.person,
      due_ms: x.dueMs,
      body: Buffer.from(x.body).toString('base64'),
    }));
  }
  async #records(store: Awaited<ReturnType<typeof openStore>>) {
    const kinds: RecordKind[] = ['admin', 'proposal', 'region', 'restore', 'alarm', 'lease'];
    const all = await Promise.all(kinds.map((kind) => store.records.list(kind)));
    return all.flat().map((x) => ({
      kind: x.kind,
      id: x.id,
      version: x.version,
      body: Buffer.from(x.body).toString('base64'),
    }));
  }
}
