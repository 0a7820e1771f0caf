import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type LoadedPolicy, loadPolicy, type PolicyReading } from '../../gateway/policy/load-policy.ts';
import type { MatchableRequest } from '../../gateway/policy/recognition.ts';

/** The shortest set that works. */
export const SHORTEST = `regions:
  - { id: msk, nodes: ["http://127.0.0.1:9101"] }
routes:
  - { name: app, match: { path: "/**" }, access: session }
sessions: {}
`;

type TestFolder = Pick<Test, 'testdir'>;

/** Loads one policy text as a file `p.yaml` in a folder of its own; `FOLDER` in it stands for the folder. */
export function readPolicyText(t: TestFolder, text: string, environment = {}): PolicyReading {
  const folder = t.testdir();
  const file = join(folder, 'p.yaml');
  writeFileSync(file, text.replaceAll('FOLDER', folder));
  return loadPolicy(file, environment);
}

/** As {@link readPolicyText}, for texts that must be good. */
export function goodPolicy(t: TestFolder, text: string): LoadedPolicy {
  const reading = readPolicyText(t, text);
  if ('mistakes' in reading) throw new Error(JSON.stringify(reading.mistakes, null, 2));
  return reading;
}

/** A request for rules, from a URL. */
export function requestOf(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>> = {},
  clientAddress = '127.0.0.1',
): MatchableRequest {
  const { hostname, pathname, searchParams } = new URL(url, 'https://acme.crm.localhost');
  return {
    method,
    host: hostname,
    path: decodeURIComponent(pathname),
    query: searchParams,
    header: (name) => headers[name],
    clientAddress,
  };
}
