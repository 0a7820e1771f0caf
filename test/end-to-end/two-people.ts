import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';

import tap from 'tap';

import { HttpsClient } from '../support/https-client.ts';
import { regionOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';

const upstream = await startRecordingUpstream((_asked, response) => response.end('ok'));
tap.teardown(() => upstream.close());

/** What `zasov admins list --json` says. */
interface Overview {
  administrators: { name: string }[];
  policy: { name: string }[] | null;
  fault: string | null;
  held: { policy: string; changes: string[] } | null;
  proposals: { id: string; state: string; kind: string; words: string[] }[];
}

/** An installation of one operator and the people that were enrolled there. */
export class Installation {
  readonly data = temporaryDirectory();
  readonly #lines = new Map<string, string>();
  readonly #more: string;
  gateway!: RunningGateway;

  constructor(more = '') {
    this.#more = more;
    // Before any gateway ran here.
    for (const name of ['Anna', 'Boris', 'Carl']) {
      const made = this.zasov('admins', 'enrol', name, '--out', this.data, '--json');
      this.#lines.set(name, (JSON.parse(made.stdout) as { policy: string }).policy);
    }
  }

  policy(admins: readonly string[] | undefined, access = 'session'): string {
    const wanted = admins && `admins:\n${admins.map((name) => `  ${this.#lines.get(name)}\n`).join('')}`;
    return `regions:
${regionOf('home', upstream.origin)}routes:
  - { name: api, match: { path: "/api/**" }, access: ${access} }
  - { name: app, match: { path: "/**" }, access: session }
sessions: {}
${this.#more}${wanted ?? ''}`;
  }

  async start(policy: string): Promise<void> {
    this.gateway = await startGateway(policy, this.data);
  }

  /** Changes the file as the operator does. */
  write(policy: string): void {
    const listen = ['public', 'admin', 'ops'].map((name) => `  ${name}: { address: 127.0.0.1, port: 0 }\n`);
    writeFileSync(join(this.data, 'test-policies.yaml'), `listen:\n${listen.join('')}${policy}`);
  }

  zasov(...words: string[]) {
    const result = spawnSync(process.execPath, ['gateway/zasov.mjs', ...words, '--data', this.data], {
      encoding: 'utf8',
    });
    return { code: result.status, stdout: result.stdout, stderr: result.stderr };
  }

  /** A command of a person, with the person's own key. */
  person(name: string, ...words: string[]) {
    const files = ['--cert', join(this.data, `${name}.pem`), '--key', join(this.data, `${name}.key`)];
    const url = this.gateway.listeners.admin.replace('127.0.0.1', 'localhost');
    return this.zasov('admins', ...words, ...files, '--url', url, '--yes', '--json');
  }

  overview(): Overview {
    return JSON.parse(this.zasov('admins', 'list', '--json').stdout) as Overview;
  }

  names(): string[] {
    return this.overview().administrators.map(({ name }) => name);
  }

  async statusOf(path: string): Promise<number> {
    const client = new HttpsClient({ host: 'localhost', port: this.gateway.port, ca: this.gateway.ca });
    const { status } = await client.get(path, { headers: { accept: 'application/json' } });
    client.close();
    return status;
  }

  async readiness() {
    const { status, text } = await this.#ops('/readyz');
    return { status, checks: (JSON.parse(text) as { checks: Record<string, unknown> }).checks };
  }

  async metric(line: RegExp): Promise<string | undefined> {
    return line.exec((await this.#ops('/metrics')).text)?.[1];
  }

  /** On a connection of its own: commands hold this process up longer than the other side keeps one open. */
  async #ops(path: string): Promise<{ status: number; text: string }> {
    const asked = get(`${this.gateway.listeners.ops}${path}`, { agent: false });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of answer.setEncoding('utf8')) text += chunk as string;
    return { status: answer.statusCode ?? 0, text };
  }
}
