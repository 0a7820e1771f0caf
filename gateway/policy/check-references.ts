import { parseDuration } from '../core/duration.ts';
import { defaultGraceMs } from './compile-policy.ts';
import { didYouMean } from './did-you-mean.ts';
import { trailName, valueAt } from './explain-issue.ts';
import { findShadowed } from './find-shadowed.ts';
import type { Mistake } from './mistake.ts';
import type { PolicyDocument } from './policy-document.ts';
import { routeSchema } from './route-schema.ts';
import type { Trail } from './yaml-source.ts';

/**
 * Finds what one section says wrongly of another. Works on the text as it was read, section by section, so that a
 * mistake elsewhere hides nothing.
 */
export function checkReferences(document: PolicyDocument): Mistake[] {
  return [
    ...doubled(document, ['regions'], 'id', 'region id'),
    ...doubled(document, ['routes'], 'name', 'route name'),
    ...doubled(document, ['admins'], 'name', 'administrator'),
    ...doubled(document, ['admins'], 'certificate', 'certificate', (text) =>
      text.replaceAll(':', '').toLowerCase(),
    ),
    ...doubled(document, ['backup', 'include'], 'name', 'name'),
    ...doubledNodes(document),
    ...doubledFailover(document),
    ...doubledPorts(document),
    ...uselessNodeTls(document),
    ...unknownRegions(document),
    ...unknownLimits(document),
    ...proxyOfNobody(document),
    ...unknownServers(document),
    ...longGrace(document),
    ...unreachableRoutes(document),
  ];
}

function doubled(
  document: PolicyDocument,
  trail: Trail,
  key: string,
  what: string,
  normal?: (text: string) => string,
): Mistake[] {
  const trails = listAt(document, trail).map((_, index) => [...trail, index, key]);
  return repeated(document, trails, what, normal);
}

function doubledNodes(document: PolicyDocument): Mistake[] {
  const trails = listAt(document, ['regions']).flatMap((_, region) => {
    const trail = ['regions', region, 'nodes'];
    return listAt(document, trail).map((__, node) => [...trail, node]);
  });
  return repeated(document, trails, 'node');
}

function doubledFailover(document: PolicyDocument): Mistake[] {
  const trail = ['routing', 'failover'];
  return repeated(
    document,
    listAt(document, trail).map((_, index) => [...trail, index]),
    'region in the order of failover',
  );
}

/** @param normal brings texts that mean the same to one form. */
function repeated(
  document: PolicyDocument,
  trails: readonly Trail[],
  what: string,
  normal = (text: string) => text,
): Mistake[] {
  const first = new Map<string, Trail>();
  return trails.flatMap((trail) => {
    const value = valueAt(document.value, trail);
    if (typeof value !== 'string') return [];
    const earlier = first.get(normal(value));
    if (earlier === undefined) {
      first.set(normal(value), trail);
      return [];
    }
    const { file, line } = document.placeOfValue(earlier);
    const message = `${trailName(trail)}: this ${what} was used before, in ${file}:${line}`;
    return [{ ...document.placeOfValue(trail), message, text: value }];
  });
}

const LISTENERS = ['public', 'admin', 'ops', 'redirect'];

function doubledPorts(document: PolicyDocument): Mistake[] {
  const first = new Map<unknown, string>();
  return LISTENERS.flatMap((name) => {
    const trail = ['listen', name, 'port'];
    const port = valueAt(document.value, trail);
    if (typeof port !== 'number' || port === 0) return [];
    const earlier = first.get(port);
    first.set(port, earlier ?? name);
    if (earlier === undefined) return [];
    const message = `${trailName(trail)}: the ${earlier} listener has this port already`;
    return [{ ...document.placeOfValue(trail), message, text: String(port) }];
  });
}

/** TLS settings of nodes that are spoken to in plain text would promise what nobody does. */
function uselessNodeTls(document: PolicyDocument): Mistake[] {
  return listAt(document, ['regions']).flatMap((_, index) => {
    const trail = ['regions', index, 'tls'];
    const nodes = ['regions', index, 'nodes'];
    const given = (key: string): boolean => valueAt(document.value, [...trail, key]) !== undefined;
    if (valueAt(document.value, trail) === undefined) return [];
    const place = document.placeOfKey(trail);
    const half =
      given('cert') === given('key') ? [] : ['cert and key belong together; one of them is missing'];
    const plain = listAt(document, nodes).flatMap((__, node) => {
      const text = document.textOf([...nodes, node]) ?? '';
      return text.startsWith('http://') ? [`the node ${text} is not spoken to over TLS`] : [];
    });
    return [...half, ...plain].map((says) => ({ ...place, message: `${trailName(trail)}: ${says}` }));
  });
}

function unknownRegions(document: PolicyDocument): Mistake[] {
  const regions = listAt(document, ['regions']).map((_, index) =>
    valueAt(document.value, ['regions', index, 'id']),
  );
  const ids = regions.filter((id) => typeof id === 'string');
  if (ids.length === 0) return [];
  const home = ['routing', 'home', 'accounts'];
  const failover = ['routing', 'failover'];
  const trails = [
    ['routing', 'home', 'default'],
    ...keysAt(document, home).map((account) => [...home, account]),
    ...listAt(document, failover).map((_, index) => [...failover, index]),
  ];
  return trails.flatMap((trail) => unknownName(document, trail, ids, 'no region has this id'));
}

function unknownLimits(document: PolicyDocument): Mistake[] {
  if (!document.isWhole && valueAt(document.value, ['limits']) === undefined) return [];
  const names = keysAt(document, ['limits']);
  return listAt(document, ['routes']).flatMap((_, index) =>
    unknownName(document, ['routes', index, 'limit'], names, 'no limit has this name'),
  );
}

function unknownServers(document: PolicyDocument): Mistake[] {
  const names = listAt(document, ['admin_access', 'servers']).filter((name) => typeof name === 'string');
  return listAt(document, ['regions']).flatMap((_, region) => {
    const trail = ['regions', region, 'servers'];
    return listAt(document, trail).flatMap((__, index) =>
      unknownName(document, [...trail, index], names, 'admin_access.servers does not name it'),
    );
  });
}

function unknownName(
  document: PolicyDocument,
  trail: Trail,
  names: readonly string[],
  says: string,
): Mistake[] {
  const name = valueAt(document.value, trail);
  if (typeof name !== 'string' || names.includes(name)) return [];
  return [
    {
      ...document.placeOfValue(trail),
      message: `${trailName(trail)}: ${says}`,
      text: name,
      allowed: names.length === 0 ? 'none is defined' : names.join(', '),
      suggestion: didYouMean(name, names),
    },
  ];
}

function proxyOfNobody(document: PolicyDocument): Mistake[] {
  const trail = ['listen', 'public', 'proxy_protocol'];
  const isAsked = valueAt(document.value, trail) === true;
  if (!isAsked || !document.isWhole || listAt(document, ['trusted_proxies']).length > 0) return [];
  const message = `${trailName(trail)}: with no trusted_proxies every connection would be refused`;
  return [{ ...document.placeOfValue(trail), message }];
}

function longGrace(document: PolicyDocument): Mistake[] {
  const trail = ['sessions', 'grace'];
  const grace = durationAt(document, trail);
  const rotateEvery = durationAt(document, ['sessions', 'rotate_every']) ?? 60_000;
  if (grace === undefined || grace * 2 <= rotateEvery) return [];
  const allowed = `up to ${rotateEvery / 2}ms here; ${defaultGraceMs(rotateEvery)}ms if it is left out`;
  const message = `${trailName(trail)}: longer than half of rotate_every`;
  return [{ ...document.placeOfValue(trail), message, text: document.textOf(trail), allowed }];
}

function unreachableRoutes(document: PolicyDocument): Mistake[] {
  const matches = listAt(document, ['routes']).map((route) => {
    const read = routeSchema.shape.match.safeParse(valueAt(route, ['match']));
    return read.success ? read.data : undefined;
  });
  return findShadowed(matches).map(({ index, by }) => {
    const names = by.map((other) => `"${document.textOf(['routes', other, 'name']) ?? other}"`);
    const message = `routes[${index}]: no request reaches this route, because ${names.join(' and ')} above take all of its requests`;
    const text = document.textOf(['routes', index, 'name']);
    return { ...document.placeOfKey(['routes', index, 'match']), message, text };
  });
}

function durationAt(document: PolicyDocument, trail: Trail): number | undefined {
  const text = valueAt(document.value, trail);
  return typeof text === 'string' ? parseDuration(text) : undefined;
}

function listAt(document: PolicyDocument, trail: Trail): readonly unknown[] {
  const list = valueAt(document.value, trail);
  return Array.isArray(list) ? list : [];
}

function keysAt(document: PolicyDocument, trail: Trail): string[] {
  const mapping = valueAt(document.value, trail);
  return typeof mapping === 'object' && mapping !== null && !Array.isArray(mapping)
    ? Object.keys(mapping)
    : [];
}
