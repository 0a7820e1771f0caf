import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { issueClientCertificate } from '../../gateway/admin/client-certificate.ts';
import { authorityOf, makeAdministrator, type TestAdministrator } from './administrator.ts';
import type { Target } from './https-client.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from './start-gateway.ts';

/** A client certificate with its key, PEM. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** A gateway with two people enrolled, and certificates of all kinds for its admin listener. */
export interface AdminGateway {
  readonly gateway: RunningGateway;
  readonly adminPort: number;
  readonly anna: TestAdministrator;
  readonly boris: TestAdministrator;
  /** A certificate of the gateway's admin authority. @param days may be negative: it ended so many days ago. */
  certify(person: TestAdministrator, days?: number): Promise<Credentials>;
  /** Where to reach the admin listener, under a host name. */
  target(credentials?: Credentials, host?: string): Target;
}

/** Starts a gateway on policies that name Anna and Boris as its administrators. */
export async function startAdminGateway(policies: string): Promise<AdminGateway> {
  const data = temporaryDirectory();
  const [anna, boris] = [makeAdministrator('Anna'), makeAdministrator('Boris')];
  const lines = [anna, boris].map(
    ({ name, fingerprint }) => `  - { name: ${name}, certificate: "sha256:${fingerprint}" }\n`,
  );
  await authorityOf(data);
  const gateway = await startGateway(`${policies}\nadmins:\n${lines.join('')}`, data);
  const adminPort = Number(new URL(gateway.listeners.admin).port);
  return {
    gateway,
    adminPort,
    anna,
    boris,
    certify: async (person, days = 30) => {
      const authority = await authorityOf(data);
      // Of a life of one day, so that it can have ended.
      const nowMs = days < 0 ? Date.now() + (days - 1) * 86_400_000 : Date.now();
      const { name, publicKey } = person;
      const cert = issueClientCertificate(authority, { name, publicKey, nowMs, days: days < 0 ? 1 : days });
      return { cert, key: pemOf(person.privateKey) };
    },
    target: (credentials, host = 'localhost') => ({ host, port: adminPort, ca: gateway.ca, ...credentials }),
  };
}

/** A private key as clients take it. */
export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}

/** What the audit trail of a gateway holds so far. */
export function auditEvents({ data }: RunningGateway): { event: string; facts: Record<string, unknown> }[] {
  const directory = join(data, 'audit');
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
    .filter((line) => line.includes('"event":'))
    .map((line) => JSON.parse(line) as { event: string; facts: Record<string, unknown> });
}

/** A metric of a gateway, summed over all its label sets that match. */
export async function metricOf({ listeners }: RunningGateway, name: string, labels = ''): Promise<number> {
  const text = await (await fetch(`${listeners.ops}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
