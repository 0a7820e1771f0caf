import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, get } from 'node:http';
import { join } from 'node:path';

import tap from 'tap';

import { clientOf } from '../end-to-end/small-crm-client.ts';
import { BackupKit } from '../support/backup-kit.ts';
import type { ChildProgram } from '../support/child-program.ts';
import { HttpsClient } from '../support/https-client.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { smallCrmPolicy, startSmallCrm, withKeyRoute } from '../support/small-crm.ts';
import { type RunningGateway, startServing, temporaryDirectory } from '../support/start-gateway.ts';

const PROGRAM = 'gateway/zasov.mjs';

const crm = await startSmallCrm();
tap.teardown(() => crm.close());

/** An API key as it was issued. */
export interface Issued {
  readonly id: string;
  readonly key: string;
}

/** The sum of all series of a metric; over a connection of its own, as commands that block this process end others. */
export async function readMetric(ops: string, name: string): Promise<number> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${ops}/metrics`, { agent: false }, resolve).once('error', reject);
  });
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** A gateway at a place that will be lost, with everything that its operator keeps elsewhere. */
export class LostSite {
  /** What is kept elsewhere: policies, people's own keys, the external disk, the identity. */
  readonly kept = temporaryDirectory();
  readonly policies = join(this.kept, 'policies');
  readonly people = join(this.kept, 'people');
  readonly target = join(this.kept, 'external');
  readonly identity = join(this.kept, 'identity.txt');
  readonly kit = new BackupKit(this);
  data = join(temporaryDirectory(), 'data');
  redis: RedisServer | undefined;
  program!: ChildProgram;
  listeners!: RunningGateway['listeners'];
  port = 0;
  ca = '';
  readonly #lines = new Map<string, string>();
  readonly #more: string;

  /** @param more lines of the policy. */
  constructor(more = '') {
    this.#more = more;
    for (const directory of [this.policies, this.people, this.target]) mkdirSync(directory);
  }

  /** A site with its first start behind it. */
  static async open(store: 'embedded' | 'redis', more = ''): Promise<LostSite> {
    const site = new LostSite(more);
    await site.kit.makeIdentity();
    if (store === 'redis') {
      site.redis = await startRedis();
      // Who shares a store brings the key along.
      site.zasov('keys', 'list');
    }
    for (const name of ['Anna', 'Boris', 'Carl']) {
      const made = site.zasov('admins', 'enrol', name, '--out', site.people, '--json');
      site.#lines.set(name, (JSON.parse(made.stdout) as { policy: string }).policy);
    }
    site.writePolicy(['Anna', 'Boris']);
    await site.start();
    return site;
  }

  writePolicy(admins: readonly string[]): void {
    const listen = ['public', 'admin', 'ops'].map((name) => `  ${name}: { address: 127.0.0.1, port: 0 }\n`);
    const store = this.redis === undefined ? '' : `store: { kind: redis, url: "${this.redis.url}" }\n`;
    const policy = withKeyRoute(smallCrmPolicy(crm.origin));
    const lines = admins.map((name) => `  ${this.#lines.get(name)}\n`).join('');
    const text = `listen:\n${listen.join('')}${store}${policy}\nadmins:\n${lines}${this.#more}`;
    writeFileSync(join(this.policies, 'policy.yaml'), text);
  }

  async start(): Promise<void> {
    const { program, listeners, port, ca } = await startServing(this.policies, this.data);
    this.program = program;
    this.listeners = listeners;
    this.port = port;
    this.ca = ca;
  }

  /** The site burns down: the gateway, its directory, its store. What was kept elsewhere stays. */
  async lose(): Promise<void> {
    await this.program.kill();
    rmSync(this.data, { recursive: true, force: true });
    this.data = join(temporaryDirectory(), 'data');
    if (this.redis === undefined) return;
    const { port } = this.redis;
    await this.redis.kill();
    this.redis = await startRedis([], port);
  }

  zasov(...words: string[]) {
    const result = spawnSync(process.execPath, [PROGRAM, ...words, '--data', this.data], {
      encoding: 'utf8',
    });
    return { code: result.status, stdout: result.stdout, stderr: result.stderr };
  }

  restore(archive: string, ...more: string[]) {
    return this.zasov('restore', archive, '--identity', this.identity, '--policies', this.policies, ...more);
  }

  /** A command of a person, with the person's own key. */
  person(name: string, ...words: string[]) {
    const files = ['--cert', join(this.people, `${name}.pem`), '--key', join(this.people, `${name}.key`)];
    const url = this.listeners.admin.replace('127.0.0.1', 'localhost');
    return this.zasov('admins', ...words, ...files, '--url', url, '--yes', '--json');
  }

  /** As `--with` takes somebody: `NAME=sha256:…`. */
  fingerprint(name: string): string {
    const [, digits = ''] = /sha256:([0-9a-f]{64})/.exec(this.#lines.get(name) ?? '') ?? [];
    return `${name}=sha256:${digits}`;
  }

  /** Adds sources to the backups of the policies. */
  include(sources: readonly { name: string; dump: readonly string[]; restore: readonly string[] }[]): void {
    const file = join(this.policies, 'policy.yaml');
    const lines = sources.map(
      ({ name, dump, restore }) =>
        `    - { name: ${name}, dump: ${JSON.stringify(dump)}, restore: ${JSON.stringify(restore)} }\n`,
    );
    const to = `  recipients: ["${this.kit.recipient}"]\n  to: { dir: ${this.target} }\n`;
    writeFileSync(file, `${readFileSync(file, 'utf8')}\nbackup:\n${to}  include:\n${lines.join('')}`);
  }

  /** The state of a proposal, by its id. */
  proposalState(id: string): string | undefined {
    const overview = JSON.parse(this.zasov('admins', 'list', '--json').stdout) as {
      proposals: { id: string; state: string }[];
    };
    return overview.proposals.find((each) => each.id === id)?.state;
  }

  names(): string[] {
    const overview = this.zasov('admins', 'list', '--json');
    return (JSON.parse(overview.stdout) as { administrators: { name: string }[] }).administrators.map(
      ({ name }) => name,
    );
  }

  metric(name: string): Promise<number> {
    return readMetric(this.listeners.ops, name);
  }

  issue(subject: string): Issued {
    return this.#json('keys', 'issue', '--account', 'main', '--subject', subject);
  }

  rotate({ id }: Issued): Issued {
    return this.#json('keys', 'rotate', id);
  }

  revoke({ id }: Issued): void {
    this.#json('keys', 'revoke', id);
  }

  /** What a key opens: `ok`, or the code of the refusal. */
  async tryKey({ key }: Issued): Promise<string> {
    const client = this.client();
    const { status, text } = await client.get('/api/x', { headers: { 'x-api-key': key } });
    client.close();
    return status === 200 ? 'ok' : (JSON.parse(text) as { code: string }).code;
  }

  client(jar?: HttpsClient['jar']): HttpsClient {
    return clientOf({ port: this.port, ca: this.ca } as never, jar);
  }

  /** Whether nothing is there, or the beginnings of something: nothing of a restore must stay. */
  async isEmpty(): Promise<boolean> {
    const beside = readdirSync(join(this.data, '..'));
    const keys = (await this.redis?.command('KEYS', '*')) as string[] | undefined;
    return !existsSync(this.data) && beside.length === 0 && (keys?.length ?? 0) === 0;
  }

  async close(): Promise<void> {
    await this.program.kill();
    await this.redis?.kill();
  }

  #json(...words: string[]): Issued {
    const done = this.zasov(...words, '--json');
    if (done.code !== 0) throw new Error(`${words.join(' ')}: ${done.stderr}`);
    return JSON.parse(done.stdout) as Issued;
  }
}
