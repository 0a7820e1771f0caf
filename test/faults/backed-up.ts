import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import tap from 'tap';

import { systemClock } from '../../gateway/core/clock.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSealedBox } from '../../gateway/crypto/sealed-box.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import type { StoredRecord } from '../../gateway/store/record-store.ts';
import { clientOf } from '../end-to-end/small-crm-client.ts';
import { control } from '../end-to-end/worker-node.ts';
import { type ChildProgram, startProgram } from '../support/child-program.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { smallCrmPolicy, startSmallCrm, withKeyRoute } from '../support/small-crm.ts';
import { startServing, temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';
import type { Issued } from './lost-site.ts';

const PROGRAM = 'gateway/zasov.mjs';
const PERIOD_MS = 60_000;

/** One gateway, and where it lives. */
export interface Member {
  readonly data: string;
  program: ChildProgram;
  port: number;
  ca: string;
  ops: string;
}

/** Gateways that back up to one directory as their policies say: several on one Redis, or one by itself. */
export class BackedUp {
  readonly kept = temporaryDirectory();
  readonly target = join(this.kept, 'external');
  readonly policies = join(this.kept, 'policy.yaml');
  readonly identity = join(this.kept, 'identity.txt');
  /** While it is there, an archive under way does not come to its end. */
  readonly brake = join(this.kept, 'brake');
  /** What is lost with the place. */
  place = temporaryDirectory();
  redis: RedisServer | undefined;
  #key = '';

  /** @param settings further lines of the policies. */
  static async open(store: 'embedded' | 'redis', settings = ''): Promise<BackedUp> {
    const site = new BackedUp();
    const crm = await startSmallCrm();
    tap.teardown(() => crm.close());
    mkdirSync(site.target);
    const identity = await generateX25519Identity();
    writeFileSync(site.identity, `${identity}\n`);
    if (store === 'redis') site.redis = await startRedis();
    site.#key = createMasterKey();
    const key = join(site.place, 'master.key');
    writeFileSync(key, site.#key, { mode: 0o600 });
    const listen = ['public', 'admin', 'ops'].map((name) => `  ${name}: { address: 127.0.0.1, port: 0 }\n`);
    const slow = `echo begin; while [ -e ${site.brake} ]; do sleep 0.05; done`;
    writeFileSync(
      site.policies,
      `listen:
${listen.join('')}${site.redis === undefined ? '' : `store: { kind: redis, url: "${site.redis.url}" }\n`}
secrets: { master_key: "file:${key}" }
${withKeyRoute(smallCrmPolicy(crm.origin))}
backup:
  every: 1m
  recipients: ["${await identityToRecipient(identity)}"]
  to: { dir: "${site.target}" }
  include: [{ name: slow, dump: [sh, -c, "${slow}"], restore: [cat] }]
${settings}`,
    );
    return site;
  }

  /** Starts a gateway on a data directory of this place. */
  async start(name: string): Promise<Member> {
    const data = join(this.place, name);
    const { program, port, ca, listeners } = await startServing(this.policies, data);
    return { data, program, port, ca, ops: listeners.ops };
  }

  /** Everything at the place is lost; what is kept elsewhere stays. */
  async lose(...members: readonly Member[]): Promise<void> {
    await Promise.all(members.map(({ program }) => program.kill()));
    rmSync(this.place, { recursive: true, force: true });
    if (this.redis === undefined) return;
    const { port } = this.redis;
    await this.redis.kill();
    this.redis = await startRedis([], port);
  }

  zasov(data: string, ...words: string[]) {
    const done = spawnSync(process.execPath, [PROGRAM, ...words, '--data', data], { encoding: 'utf8' });
    return { code: done.status, stdout: done.stdout, stderr: done.stderr };
  }

  /** What an auditor finds in the trail of a gateway. */
  verifyTrail({ data }: Member) {
    return this.zasov(data, 'audit', 'verify', '--master-key', `file:${join(this.place, 'master.key')}`);
  }

  /** Starts a command. @returns its exit code, once it has ended. */
  begin({ data }: Member, ...words: string[]): Promise<number | null> {
    return startProgram(process.execPath, [PROGRAM, ...words, '--data', data]).ended;
  }

  /** Brings an archive back as the data directory of that name. */
  restore(archive: string, name: string) {
    const words = ['restore', join(this.target, archive), '--identity', this.identity];
    return this.zasov(join(this.place, name), ...words, '--policies', this.policies);
  }

  key(member: Member, action: 'issue' | 'rotate' | 'revoke', of: string): Issued {
    const words = action === 'issue' ? ['--account', 'main', '--subject', of] : [of];
    const { code, stdout, stderr } = this.zasov(member.data, 'keys', action, ...words, '--json');
    if (code !== 0) throw new Error(`keys ${action} ${of}: ${stderr}`);
    return JSON.parse(stdout) as Issued;
  }

  /** What each key opens: `ok`, or the code of the refusal. */
  async tryKeys(member: Member, keys: Readonly<Record<string, Issued>>): Promise<Record<string, string>> {
    const client = clientOf(member as never);
    const found: Record<string, string> = {};
    for (const [name, { key }] of Object.entries(keys)) {
      const { status, text } = await client.get('/api/x', { headers: { 'x-api-key': key } });
      found[name] = status === 200 ? 'ok' : (JSON.parse(text) as { code: string }).code;
    }
    client.close();
    return found;
  }

  /** Archives with a note, oldest first. */
  archives(kind: 'fleet' | 'node'): string[] {
    const names = readdirSync(this.target).filter((name) => existsSync(join(this.target, `${name}.json`)));
    return names.filter((name) => name.includes(`-${kind}-`)).toSorted();
  }

  /** Names at the target that are neither of an archive with its note, nor hidden. */
  halves(): string[] {
    const names = readdirSync(this.target).filter((name) => name.startsWith('zasov-'));
    const pairs = [...this.archives('fleet'), ...this.archives('node')];
    return names.filter((name) => !pairs.includes(name.replace(/\.json$/, '')));
  }

  /** Waits until the journal holds all that has happened until now. @returns how long that took, in ms. */
  async journaled(member: Member, withinMs = 10_000): Promise<number> {
    const sinceMs = Date.now();
    const throughMs = async () => {
      const nowMs = Date.now();
      return nowMs - 1000 * (await this.metric(member, 'zasov_backup_rpo_seconds{part="journal"}'));
    };
    await eventually(
      async () => (await throughMs()) >= sinceMs,
      withinMs,
      () => 'the journal',
    );
    return Date.now() - sinceMs;
  }

  /** One series of a gateway's metrics; NaN when there is none. */
  async metric({ ops }: Member, series: string): Promise<number> {
    const text = await (await fetch(`${ops}/metrics`)).text();
    const line = text.split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ')));
  }

  /** Whether a gateway is at an archive, and of which kind. */
  async running({ data }: Member): Promise<string | undefined> {
    const status = (await control({ data } as never, 'GET', '/v1/status')) as {
      backup: { running: { kind: string } | null };
    };
    return status.backup.running?.kind;
  }

  /** Lets a period go by: what is on record of the backups becomes so much older. */
  async passPeriod(): Promise<void> {
    const opened = await openStore({
      choice: { kind: 'redis', place: { kind: 'single', url: this.redis?.url ?? '' }, password: undefined },
      data: this.place,
      environment: {},
      transitions: familyTransitions,
      clock: systemClock,
      onUnreplicated: () => undefined,
    });
    const box = createSealedBox(parseKeyring(this.#key), 'backup-lease');
    const agedUnlessWritten = async (record: StoredRecord): Promise<boolean> => {
      const { kind, id, version, body } = record;
      const facts = JSON.parse(box.open(body, id)?.toString() ?? '{}') as Record<string, number>;
      for (const name of ['sinceMs', 'lastSuccessMs', 'lastAttemptMs'])
        if (facts[name] !== undefined) facts[name] -= PERIOD_MS;
      const older = box.seal(Buffer.from(JSON.stringify(facts)), id);
      return await opened.records.write({ kind, id, version: version + 1, body: older });
    };
    const aged = new Set<string>();
    // A gateway may write a record between the look and the change; then it is looked at again.
    await eventually(async () => {
      const records = await opened.records.list('lease');
      const left = records.filter(({ id }) => /^backup(?:-[0-9a-f]{8})?$/.test(id) && !aged.has(id));
      for (const record of left) if (await agedUnlessWritten(record)) aged.add(record.id);
      return left.every(({ id }) => aged.has(id));
    }, 5000);
    await opened.close();
  }
}
