import { DEMO_LOGINS } from '../demo/crm/demo-login.ts';
import type { Demo } from '../demo/demo.ts';
import type { Enrolment } from './admins-enrol.ts';
import type { DemoKey } from './demo-keys.ts';
import { table } from './table.ts';
import { VERSION } from './version.ts';

/** What there is to say about a demo that runs. */
interface DemoFacts {
  readonly demo: Demo;
  readonly keys: readonly DemoKey[];
  readonly administrators: readonly Enrolment[];
  /** The data directory as it was named. */
  readonly data: string;
  /** The file of the log. */
  readonly log: string;
}

/** The ready line for programs, with logins, keys and certificates. */
export function readyLine({ demo: { gateway, nodes }, keys, administrators }: DemoFacts): string {
  const { listeners, trust } = gateway;
  const logins = DEMO_LOGINS.map(({ account, login, password }) => ({
    account,
    login,
    password,
    url: accountUrl(listeners.public, account),
    api_key: keyOf(keys, account, login),
  }));
  return JSON.stringify({ event: 'ready', listeners, ca: trust?.caFile, logins, nodes, administrators });
}

function keyOf(keys: readonly DemoKey[], account: string, login: string): string | undefined {
  return keys.find((each) => each.account === account && each.login === login)?.key;
}

/** What a person reads on the terminal. */
export function welcome(facts: DemoFacts): string {
  const { gateway, nodes } = facts.demo;
  const { listeners, trust } = gateway;
  const logins = DEMO_LOGINS.map(({ account, login, password, isAdmin }) => [
    accountUrl(listeners.public, account),
    login,
    password,
    isAdmin ? 'administrator in the CRM' : '',
  ]);
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
    table(
      ['administrator', 'for browsers', 'password of that file'],
      facts.administrators.map((each) => [each.name, each.pkcs12_file ?? '', each.pkcs12_password ?? '']),
    ),
    '',
    ...(trust === undefined ? [] : [trust.text.trimEnd(), '']),
    'Try:',
    ...tries(facts),
    '',
    'Ctrl+C ends it.',
  ].join('\n');
}

function tries({ demo: { gateway, nodes, policies }, keys, administrators, data, log }: DemoFacts): string[] {
  const { listeners, trust } = gateway;
  const account = DEMO_LOGINS[0]?.account ?? 'acme';
  const first = accountUrl(listeners.public, account);
  const ca = trust?.caFile ?? 'CA';
  // What the commands take by themselves needs no saying.
  const place = data === 'var' ? '' : ` --data ${data}`;
  return [
    `  sign in at ${first}, open several tabs, and watch the one cookie change in the developer tools`,
    '  copy that cookie to curl and go on working: the copy dies, and takes the session with it',
    `  open ${first}/.zasov/account: the own devices and API keys, to see, replace or end them`,
    `  curl -s --cacert ${ca} -H 'X-Api-Key: ${keys[0]?.key ?? ''}' '${first}/api/v4/leads?limit=1'`,
    ...adminTries(administrators, accountUrl(listeners.admin, account), first, ca),
    ...lineUp([
      [`npx zasov keys list${place}`, 'API keys: who has one, and when it goes'],
      [`npx zasov sessions list${place}`, 'who is signed in, and how often the identifier changed'],
      [`npx zasov sessions revoke ID${place}`, 'live updates close at once, the next click asks to sign in'],
      [`npx zasov admins list${place}`, 'the two administrators, and what waits for a signature'],
      [`curl -s ${listeners.ops}/metrics | grep zasov_`, 'what the gateway counts'],
      [`kill -9 ${nodes[0]?.pid ?? ''}`, 'a region is gone; its accounts move on, still signed in'],
      [`edit ${policies} and save`, 'a mistake is refused with its line, a good set is in force at once'],
      [`tail -f ${log}`, 'one line for each request, and no secret in any of them'],
    ]),
  ];
}

function lineUp(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([act]) => act.length));
  return rows.map(([act, outcome]) => `  ${act.padEnd(width)}  ${outcome}`);
}

function adminTries(
  [anna]: readonly Enrolment[],
  panel: string,
  publicOrigin: string,
  ca: string,
): readonly string[] {
  if (anna === undefined) return [];
  return [
    `  open ${publicOrigin}/admin: there is no such page`,
    `  import ${anna.pkcs12_file ?? ''} into a browser, open ${panel}/admin and sign in as anna: there it is`,
    `  curl -s --cacert ${ca} --cert ${anna.cert_file} --key ${anna.key_file ?? ''} ${panel}/.zasov/admin/approvals`,
  ];
}

/** An origin under an account's own host; names under `.localhost` lead to this machine. */
function accountUrl(origin: string, account: string): string {
  return `https://${account}.crm.localhost:${new URL(origin).port}`;
}
