import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { processEnvironment } from '../config/environment.ts';
import { DEMO_LOGINS } from '../demo/crm/demo-login.ts';
import { type Demo, startDemo } from '../demo/demo.ts';
import { type DemoKey, issueDemoKeys } from './demo-keys.ts';
import { table } from './table.ts';
import { untilStopped } from './until-stopped.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

const LOG_FILE = 'demo.log';
const DATA = 'var';

/**
 * `zasov demo`: three regional CRM nodes and the gateway in front of them, until SIGTERM or SIGINT.
 *
 * @returns 0 after an orderly stop. @throws UsageError, or when it cannot start.
 */
export async function runDemo(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      port: { type: 'string' },
      policies: { type: 'string', default: 'policies' },
      data: { type: 'string', default: DATA },
      json: { type: 'boolean', default: false },
    },
  });
  const demo = await startDemo({
    policies: values.policies,
    data: values.data,
    port: readPort(values.port),
    environment: processEnvironment(),
    // A person reads the terminal; a program reads the log.
    logFile: values.json ? undefined : LOG_FILE,
    version: VERSION,
  });
  const keys = await issueDemoKeys(demo, values.data);
  // Before anything is printed: whoever reads the last line may stop it in the same moment.
  const stopped = untilStopped(() => void demo.gateway.reload());
  process.stdout.write(`${values.json ? readyLine(demo, keys) : welcome(demo, keys, values.data)}\n`);
  await stopped;
  await demo.stop();
  return 0;
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new UsageError(`--port takes 0 to 65535, not "${text}"`);
  return port;
}

function readyLine({ gateway, nodes }: Demo, keys: readonly DemoKey[]): string {
  const { listeners, trust } = gateway;
  const logins = DEMO_LOGINS.map(({ account, login, password }) => ({
    account,
    login,
    password,
    url: accountUrl(listeners.public, account),
    api_key: keyOf(keys, account, login),
  }));
  return JSON.stringify({ event: 'ready', listeners, ca: trust?.caFile, logins, nodes });
}

function keyOf(keys: readonly DemoKey[], account: string, login: string): string | undefined {
  return keys.find((each) => each.account === account && each.login === login)?.key;
}

function welcome({ gateway, nodes, policies }: Demo, keys: readonly DemoKey[], data: string): string {
  const { listeners, trust } = gateway;
  const logins = DEMO_LOGINS.map(({ account, login, password, isAdmin }) => [
    accountUrl(listeners.public, account),
    login,
    password,
    isAdmin ? 'administrator in the CRM' : '',
  ]);
  // What the commands take by themselves needs no saying.
  const place = data === DATA ? '' : ` --data ${data}`;
  const first = accountUrl(listeners.public, DEMO_LOGINS[0]?.account ?? 'acme');
  return [
    `Zasov ${VERSION} stands in front of three nodes of a CRM that knows nothing of it.`,
    '',
    table(['open', 'login', 'password', ''], logins),
    '',
    table(
      ['region', 'node', 'process'],
      nodes.map(({ region, url, pid }) => [region, url, String(pid)]),
    ),
    '',
    ...(trust === undefined ? [] : [trust.text.trimEnd(), '']),
    'Try:',
    `  sign in at ${first}, open several tabs, and watch the one cookie change in the developer tools`,
    '  copy that cookie to curl and go on working: the copy dies, and takes the session with it',
    `  open ${first}/.zasov/account: the own devices and API keys, to see, replace or end them`,
    `  curl -s --cacert ${trust?.caFile ?? 'CA'} -H 'X-Api-Key: ${keys[0]?.key ?? ''}' '${first}/api/v4/leads?limit=1'`,
    ...lineUp([
      [`npx zasov keys list${place}`, 'API keys: who has one, and when it goes'],
      [`npx zasov sessions list${place}`, 'who is signed in, and how often the identifier changed'],
      [`npx zasov sessions revoke ID${place}`, 'live updates close at once, the next click asks to sign in'],
      [`curl -s ${listeners.ops}/metrics | grep zasov_`, 'what the gateway counts'],
      [`kill -9 ${nodes[0]?.pid ?? ''}`, 'a region is gone; its accounts move on, still signed in'],
      [`edit ${policies} and save`, 'a mistake is refused with its line, a good set is in force at once'],
      [`tail -f ${join(data, LOG_FILE)}`, 'one line for each request, and no secret in any of them'],
    ]),
    '',
    'Ctrl+C ends it.',
  ].join('\n');
}

function lineUp(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([act]) => act.length));
  return rows.map(([act, outcome]) => `  ${act.padEnd(width)}  ${outcome}`);
}

/** The public origin under an account's own host; names under `.localhost` lead to this machine. */
function accountUrl(origin: string, account: string): string {
  return `https://${account}.crm.localhost:${new URL(origin).port}`;
}
