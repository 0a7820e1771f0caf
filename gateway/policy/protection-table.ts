import { globCovers } from './glob-cover.ts';
import { valueAt } from './explain-issue.ts';
import { loweredRoutes } from './lowered-routes.ts';
import type { Rate } from './measure-schema.ts';
import type { PolicySettings } from './policy-schema.ts';

/** A set of policies as far as its protection is weighed: what was written, and what it means. */
export interface WeighedPolicy {
  /** The merged mapping as it stands in the files. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly settings: PolicySettings;
}

interface Row {
  /** Its place in the policy, with dots. */
  readonly field: string;
  readonly isLower: (before: PolicySettings, after: PolicySettings) => boolean;
}

/** One field: where its value is, and when a new value protects less than the old one. */
function row<T>(
  field: string,
  value: (all: PolicySettings) => T,
  isLower: (before: T, after: T) => boolean,
): Row {
  return { field, isLower: (before, after) => isLower(value(before), value(after)) };
}

// When a new value protects less than the one before.
const larger = (before: number, after: number) => after > before;
const smaller = (before: number, after: number) => after < before;
const on = (before: boolean, after: boolean) => after && !before;
const other = (before: unknown, after: unknown) => JSON.stringify(before) !== JSON.stringify(after);
const added = (before: readonly unknown[], after: readonly unknown[]) => lost(after, before);
const lost = (before: readonly unknown[], after: readonly unknown[]) => {
  const kept = new Set(after.map((each) => JSON.stringify(each)));
  return before.some((each) => !kept.has(JSON.stringify(each)));
};
/** From the weakest to the strongest. */
const weaker =
  <T>(...order: readonly T[]) =>
  (before: T, after: T) =>
    order.indexOf(after) < order.indexOf(before);
/** Names or paths that were taken by a glob and are no more. */
const uncovered =
  (kind: 'path' | 'text') =>
  (before: readonly string[], after: readonly string[]): boolean =>
    before.some((glob) => !after.some((wide) => globCovers(wide, glob, kind)));
/** Names or paths that are taken by a glob and were not. */
const wider =
  (kind: 'path' | 'text') =>
  (before: readonly string[], after: readonly string[]): boolean =>
    uncovered(kind)(after, before);
const faster = (before: Rate, after: Rate) =>
  after.count > before.count || after.count / after.windowMs > before.count / before.windowMs;
/** A bound that may be absent, which bounds nothing. */
const looser =
  <T>(isLower: (before: T, after: T) => boolean) =>
  (before: T | undefined, after: T | undefined) =>
    before !== undefined && (after === undefined || isLower(before, after));
/** No network at all stands for any. */
const moreNetworks = (before: readonly string[], after: readonly string[]) =>
  before.length > 0 && (after.length === 0 || added(before, after));
/** An address that others than this machine reach. */
const exposed = (before: string, after: string) =>
  after !== before && !/^(?:127\.|::1$|localhost$)/.test(after);
const months = (age: { readonly months: number } | { readonly ms: number }) =>
  'ms' in age ? age.ms : age.months * 31 * 86_400_000;

/**
 * Which fields of a policy are protection, and when a change lowers it. Lowering takes both administrators while any
 * are enrolled. What is not here is the operator's alone: where regions, nodes and certificates are, names, logs, and
 * `admins`, whose change takes both in a way of its own.
 */
const TABLE: readonly Row[] = [
  row('listen.admin.address', ({ listen }) => listen.admin.address, exposed),
  row('listen.ops.address', ({ listen }) => listen.ops.address, exposed),
  row('trusted_proxies', (all) => all.trusted_proxies, added),
  row('tls.profile', ({ tls }) => tls.profile, weaker('intermediate', 'modern')),
  row('regions.facility', ({ regions }) => regions.filter((each) => each.facility).map(({ id }) => id), lost),

  row('sessions.rotate_every', ({ sessions }) => sessions.rotate_every, larger),
  row(
    'sessions.grace',
    ({ sessions: { grace, rotate_every } }) => grace ?? Math.min(20_000, rotate_every / 3),
    larger,
  ),
  row('sessions.idle', ({ sessions }) => sessions.idle, larger),
  row('sessions.lifetime', ({ sessions }) => sessions.lifetime, larger),
  row('sessions.per_subject', ({ sessions }) => sessions.per_subject, larger),
  row('sessions.crash_grace', ({ sessions }) => sessions.crash_grace, on),
  row('sessions.bind', ({ sessions }) => sessions.bind, lost),
  row('sessions.device', ({ sessions }) => sessions.device, weaker('off', 'prefer', 'require')),
  row('sessions.device_cookie', ({ sessions }) => sessions.device_cookie, larger),
  row('sessions.allow_cross_site', ({ sessions }) => sessions.allow_cross_site, wider('path')),
  row('sessions.anonymous.lifetime', ({ sessions }) => sessions.anonymous.lifetime, larger),
  row('sessions.anonymous.per_client', ({ sessions }) => sessions.anonymous.per_client, faster),
  row('sessions.vault', ({ sessions }) => sessions.vault, uncovered('text')),
  row('sessions.strip', ({ sessions }) => sessions.strip, uncovered('text')),
  row('sessions.passive', ({ sessions }) => sessions.passive, uncovered('path')),
  row('sessions.upstream_lost', ({ sessions }) => sessions.upstream_lost, weaker('keep', 'end')),
  // Who is signed in hangs on these alone.
  row('sessions.begin', ({ sessions }) => sessions.begin, added),
  row('sessions.end', ({ sessions }) => sessions.end, lost),
  row('sessions.credential_change', ({ sessions }) => sessions.credential_change, lost),

  row('api_keys.in', ({ api_keys: keys }) => keys?.in ?? [], added),
  row('api_keys.max_age', ({ api_keys: keys }) => months(keys?.max_age ?? { months: 6 }), larger),
  row('api_keys.overlap', ({ api_keys: keys }) => keys?.overlap ?? 0, larger),
  row('api_keys.rotate_on', ({ api_keys: keys }) => keys?.rotate_on ?? ['age', 'credential_change'], lost),
  row('api_keys.imported', ({ api_keys: keys }) => keys?.imported ?? 'refuse', weaker('accept', 'refuse')),

  row('api_keys.own_keys', ({ api_keys: keys }) => keys?.own_keys ?? 0, larger),
  row('api_keys.upstream.observe', ({ api_keys: keys }) => keys?.upstream?.observe ?? [], added),

  // Whether a header protects less than another is not for this table to say.
  row('headers', ({ headers }) => headers, other),
  row('cors', ({ cors }) => cors, opened),

  row('admin_access.networks', (all) => all.admin_access.networks, moreNetworks),
  row('admin_access.passkey', (all) => all.admin_access.passkey, weaker('off', 'require')),
  row('admin_access.approval_expires', (all) => all.admin_access.approval_expires, larger),
  row('admin_access.servers', (all) => all.admin_access.servers, added),

  row('protection.header_bytes', ({ protection }) => protection.header_bytes, larger),
  row('protection.body_bytes', ({ protection }) => protection.body_bytes, larger),
  row('protection.header_timeout', ({ protection }) => protection.header_timeout, larger),
  row('protection.body_idle_timeout', ({ protection }) => protection.body_idle_timeout, larger),
  row('protection.connections', ({ protection }) => protection.connections, larger),
  row('protection.connections_per_client', ({ protection }) => protection.connections_per_client, larger),
  row('protection.stream_max_age', ({ protection }) => protection.stream_max_age, larger),

  // Whoever moves the trail can begin it anew; whoever adds a recipient can read every backup.
  row('audit', ({ audit }) => audit, other),
  row('backup', ({ backup }) => backup !== undefined, smallerFlag),
  row('backup.every', ({ backup }) => backup?.every, looser(larger)),
  row('backup.recipients', ({ backup }) => backup?.recipients, looser(other)),
  row('backup.to', ({ backup }) => backup?.to, looser(other)),
  row('backup.keep', ({ backup }) => backup?.keep, looser(smaller)),
  row('backup.keep_for', ({ backup }) => backup?.keep_for, looser(smaller)),
  row('backup.drill_every', ({ backup }) => backup?.drill_every, looser(larger)),
  row('backup.include', ({ backup }) => backup?.include, looser(lost)),
];

/** Other sites' scripts: less than before is more protection only when nothing is left. */
function opened(before: unknown, after: unknown): boolean {
  return after !== undefined && other(before, after);
}

function smallerFlag(before: boolean, after: boolean): boolean {
  return before && !after;
}

/** Parts of a named limit; a limit that is gone is seen at the routes that had it. */
const LIMIT_PARTS: readonly {
  readonly part: string;
  readonly isLower: (
    before: PolicySettings['limits'][string],
    after: PolicySettings['limits'][string],
  ) => boolean;
}[] = [
  { part: 'per', isLower: (before, after) => other(before.per.toSorted(), after.per.toSorted()) },
  { part: 'requests', isLower: (before, after) => looser(faster)(before.requests, after.requests) },
  {
    part: 'response_bytes',
    isLower: (before, after) => looser(faster)(before.response_bytes, after.response_bytes),
  },
  { part: 'parallel', isLower: (before, after) => looser(larger)(before.parallel, after.parallel) },
  { part: 'failures', isLower: (before, after) => looser(faster)(before.failures, after.failures) },
  { part: 'block', isLower: (before, after) => looser(smaller)(before.block, after.block) },
];

/**
 * Says in words what a new set of policies protects less than the one before, by the table of this file.
 *
 * @returns nothing when it lowers nothing; the lines hold no control characters, whatever the policy holds.
 */
export function loweredProtection(before: WeighedPolicy, after: WeighedPolicy): string[] {
  const fields = TABLE.filter(({ isLower }) => isLower(before.settings, after.settings)).map(({ field }) =>
    field === 'regions.facility'
      ? `${field}: a region takes no signals any more`
      : `${field}: ${written(before, field)} → ${written(after, field)}`,
  );
  const lines = [
    ...loweredRoutes(before.settings, after.settings),
    ...fields,
    ...loweredLimits(before, after),
  ];
  return lines.map(visible);
}

function loweredLimits(before: WeighedPolicy, after: WeighedPolicy): string[] {
  return Object.entries(before.settings.limits).flatMap(([name, limit]) => {
    const next = after.settings.limits[name];
    if (next === undefined) return [];
    return LIMIT_PARTS.filter(({ isLower }) => isLower(limit, next)).map(({ part }) => {
      const field = `limits.${name}.${part}`;
      const text = ({ raw }: WeighedPolicy) => shown(valueAt(raw, ['limits', name, part]));
      return `${field}: ${text(before)} → ${text(after)}`;
    });
  });
}

function written({ raw }: WeighedPolicy, field: string): string {
  return shown(valueAt(raw, field.split('.')));
}

const LONGEST = 300;

function shown(value: unknown): string {
  if (value === undefined) return 'default';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // A part of a long text may be the part that did not change; its whole is in the policy that the hash names.
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}

function visible(line: string): string {
  return line.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (letter) => `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
