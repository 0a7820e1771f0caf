import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import type { RedisPlace } from '../../gateway/store/redis-connection.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { HttpsClient } from '../support/https-client.ts';
import { CRM_PASSWORD, type SmallCrm, smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';

/** Gateways that share one store, in front of one CRM. */
export interface SharedGateways {
  readonly gateways: readonly RunningGateway[];
  readonly crm: SmallCrm;
  readonly masterKey: string;
  readonly stop: () => Promise<void>;
}

/** The policy's `store` section for a place. */
function storeSection(place: RedisPlace): string {
  switch (place.kind) {
    case 'single':
      return `store: { kind: redis, url: "${place.url}" }\n`;
    case 'sentinel':
      return `store: { kind: redis, name: ${place.name}, sentinels: ${JSON.stringify(place.sentinels)} }\n`;
    case 'cluster':
      return `store: { kind: redis, cluster: ${JSON.stringify(place.nodes)} }\n`;
    default:
      return place satisfies never;
  }
}

/**
 * Starts gateways, each a process of its own, with one master key.
 *
 * @param places one for each gateway: the way that it takes to the store.
 * @param sessions further lines of the `sessions` section, indented by two.
 * @param masterKey of gateways that run already and share the store.
 */
export async function startShared(
  places: readonly RedisPlace[],
  sessions: string,
  masterKey = createMasterKey(),
): Promise<SharedGateways> {
  const crm = await startSmallCrm();
  const key = join(temporaryDirectory(), 'shared-master.key');
  writeFileSync(key, masterKey, { mode: 0o600 });
  const gateways: RunningGateway[] = [];
  for (const place of places) {
    const policy = `${storeSection(place)}secrets: { master_key: "file:${key}" }\n${smallCrmPolicy(crm.origin, sessions)}`;
    gateways.push(await startGateway(policy));
  }
  return {
    gateways,
    crm,
    masterKey,
    stop: async () => {
      await Promise.all(gateways.map(({ program }) => program.stop()));
      await crm.close();
    },
  };
}

/** What came of one request. */
export interface Seen {
  readonly status: number;
  /** Who the CRM took the visitor for; only with 200. */
  readonly user: string | undefined;
  readonly retryAfter: string | undefined;
  /** Whether the answer took the session cookie away. */
  readonly cleared: boolean;
}

/** A person with one cookie jar, who may come to any of the gateways. */
export class Person {
  readonly name: string;
  readonly jar: CookieJar;
  readonly #clients: HttpsClient[];

  constructor(name: string, gateways: readonly RunningGateway[], jar = new CookieJar()) {
    this.name = name;
    this.jar = jar;
    this.#clients = gateways.map(({ port, ca }) => new HttpsClient({ host: 'localhost', port, ca }, jar));
  }

  /** @throws Error when a gateway or the CRM refuses. */
  async signIn(gateway = 0): Promise<this> {
    const client = this.#client(gateway);
    await client.get('/login');
    const answer = await client.post('/login', { login: this.name, password: CRM_PASSWORD });
    if (answer.status !== 302) throw new Error(`login answered ${answer.status}: ${answer.text}`);
    return this;
  }

  async visit(gateway: number): Promise<Seen> {
    const answer = await this.#client(gateway).get('/whoami', { headers: { accept: 'application/json' } });
    return {
      status: answer.status,
      user: answer.status === 200 ? (JSON.parse(answer.text) as { user: string }).user : undefined,
      retryAfter: answer.header('retry-after'),
      cleared: answer.setCookies.some((header) => header.includes('Max-Age=0')),
    };
  }

  async signOut(gateway: number): Promise<number> {
    return (await this.#client(gateway).get('/logout')).status;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #client(gateway: number): HttpsClient {
    const client = this.#clients[gateway % this.#clients.length];
    if (client === undefined) throw new Error('no gateway');
    return client;
  }
}

/** One number of a gateway's metrics, all label sets added up. */
export async function metric(gateway: RunningGateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
