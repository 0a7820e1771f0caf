/** The life of keys against rules written plainly: two nodes, a clock moved by hand, downtimes, races. */
import { join } from 'node:path';
import { test } from 'tap';

import { endOfAge } from '../../gateway/api-key/key-age.ts';
import * as fc from '../support/property-based.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { DAY_MS, type KeyBench, openKeyBench, verdictOf } from './key-bench.ts';

const HALF_YEAR = { months: 6 };
/** Secrets of a key that are remembered beside the newest: holders of older ones are strangers. */
const FORMER = 8;
/** How long a key that is over is remembered; the next round forgets it. */
const REMEMBERED_MS = 400 * DAY_MS;
const PEOPLE = ['anna', 'boris'] as const;

/** One secret, as the plain rules see it. The text is unknown while it waits for its owner. */
interface ModelSecret {
  id: string;
  text: string | undefined;
  isWaiting: boolean;
  expiresMs: number;
  over?: { readonly state: 'rotated' | 'revoked'; readonly atMs: number };
}

/** One key: its secrets, oldest first. */
interface ModelKey {
  readonly person: (typeof PEOPLE)[number];
  readonly secrets: ModelSecret[];
  /** Nobody remembers a key that has been over for so long. */
  isForgotten: boolean;
}

const step = fc.oneof(
  fc.record({ does: fc.constant('issue' as const), person: fc.constantFrom(...PEOPLE) }),
  fc.record({
    does: fc.constant('wait' as const),
    ms: fc.oneof(
      fc.integer({ min: 1, max: 3_600_000 }),
      fc.integer({ min: 1, max: 40 }).map((days) => days * DAY_MS),
      fc.integer({ min: 150, max: 200 }).map((days) => days * DAY_MS),
    ),
  }),
  fc.record({ does: fc.constant('rounds' as const), nodes: fc.constantFrom('one', 'two', 'both' as const) }),
  fc.record({ does: fc.constant('rotate' as const), key: fc.nat(9), overlapMs: fc.constantFrom(0, DAY_MS) }),
  fc.record({ does: fc.constant('race' as const), key: fc.nat(9) }),
  fc.record({ does: fc.constant('revoke' as const), key: fc.nat(9) }),
  fc.record({ does: fc.constant('password' as const), person: fc.constantFrom(...PEOPLE) }),
  fc.record({ does: fc.constant('collect' as const), key: fc.nat(9) }),
  fc.record({ does: fc.constant('restart' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Model {
  readonly keys: ModelKey[] = [];
  nowMs: number;
  readonly overlapMs: number;

  constructor(nowMs: number, overlapMs: number) {
    this.nowMs = nowMs;
    this.overlapMs = overlapMs;
  }

  /** What a text is worth. */
  verdict(key: ModelKey, secret: ModelSecret): string {
    if (key.isForgotten || key.secrets.indexOf(secret) < key.secrets.length - 1 - FORMER)
      return 'key_unknown';
    if (secret.over !== undefined && secret.over.atMs <= this.nowMs) return `key_${secret.over.state}`;
    return secret.expiresMs <= this.nowMs ? 'key_expired' : 'live';
  }

  works(key: ModelKey): boolean {
    return key.secrets.some((secret) => this.verdict(key, secret) === 'live');
  }

  /** Every secret before the new one is over at once, the last one after its overlap. */
  succeed(key: ModelKey, next: { id: string; text: string | undefined }, lastMs: number): void {
    for (const [index, secret] of key.secrets.entries()) {
      const atMs = index === key.secrets.length - 1 ? lastMs : this.nowMs;
      secret.isWaiting = false;
      if (secret.over === undefined || secret.over.atMs > atMs) secret.over = { state: 'rotated', atMs };
    }
    const expiresMs = endOfAge(this.nowMs, HALF_YEAR);
    key.secrets.push({ ...next, isWaiting: next.text === undefined, expiresMs });
  }

  /** What a round of any node does: a key that is past its age gets a successor, once. */
  round(idOf: (key: ModelKey) => string): void {
    for (const key of this.keys) {
      const last = key.secrets.at(-1);
      if (last === undefined) continue;
      if (last.over !== undefined) {
        const stoppedMs = Math.min(last.over.atMs, last.expiresMs);
        key.isForgotten ||= stoppedMs + REMEMBERED_MS <= this.nowMs;
        continue;
      }
      if (last.expiresMs > this.nowMs) continue;
      const { expiresMs } = last;
      this.succeed(key, { id: idOf(key), text: undefined }, expiresMs + this.overlapMs);
      last.expiresMs = expiresMs + this.overlapMs;
    }
  }
}

/** The key's id with the next generation: the lineage, and two characters that count. */
async function newestId({ keys }: KeyBench, key: ModelKey): Promise<string> {
  const lineage = key.secrets[0]?.id.slice(0, 12) ?? '';
  const rows = await keys.list({ account: 'acme', subject: key.person });
  return rows.find(({ id }) => id.startsWith(lineage))?.id ?? '';
}

async function compare(model: Model, nodes: readonly KeyBench[]): Promise<void> {
  for (const node of nodes) {
    for (const key of model.keys) {
      for (const secret of key.secrets) {
        if (secret.text === undefined) continue;
        const found = await verdictOf(node.keys, secret.text);
        const wanted = model.verdict(key, secret);
        if (found !== wanted) throw new Error(`${secret.id}: ${found} in place of ${wanted}`);
      }
    }
  }
}

async function run(file: string, steps: readonly Step[], overlapMs: number): Promise<void> {
  let one = openKeyBench(file, { overlapMs });
  const two = one.another();
  const model = new Model(one.clock.now(), overlapMs);
  const pick = (index: number): ModelKey | undefined => model.keys[index % Math.max(1, model.keys.length)];
  const does: { [Kind in Step['does']]: (each: Extract<Step, { does: Kind }>) => Promise<void> } = {
    issue: async ({ person }) => {
      if (model.keys.length > 4) return;
      const { id, key } = await one.keys.issue({ account: 'acme', subject: person });
      const expiresMs = endOfAge(model.nowMs, HALF_YEAR);
      model.keys.push({
        person,
        secrets: [{ id, text: key, isWaiting: false, expiresMs }],
        isForgotten: false,
      });
    },
    wait: async ({ ms }) => {
      one.clock.advance(ms);
      model.nowMs += ms;
    },
    rounds: async ({ nodes }) => {
      const wanted = nodes === 'both' ? [one, two, one] : [nodes === 'one' ? one : two];
      const before = [one, two].flatMap(({ heard }) => heard).filter((each) => each === 'rotated age').length;
      const due = model.keys.filter(
        ({ secrets }) =>
          secrets.at(-1)?.over === undefined && (secrets.at(-1)?.expiresMs ?? 0) <= model.nowMs,
      ).length;
      await Promise.all(wanted.map(({ keys }) => keys.tick(undefined)));
      const after = [one, two].flatMap(({ heard }) => heard).filter((each) => each === 'rotated age').length;
      if (after - before !== due) throw new Error(`${after - before} rotations in place of ${due}`);
      const ids = new Map<ModelKey, string>();
      for (const key of model.keys) ids.set(key, await newestId(two, key));
      model.round((key) => ids.get(key) ?? '');
    },
    rotate: async ({ key: index, overlapMs: overlap }) => {
      const key = pick(index);
      const last = key?.secrets.at(-1);
      if (key === undefined || last === undefined) return;
      const issued = await two.keys.rotate(last.id, overlap);
      if ((issued !== undefined) !== (last.over === undefined)) throw new Error('rotated against the rules');
      if (issued !== undefined)
        model.succeed(key, { id: issued.id, text: issued.key }, model.nowMs + overlap);
    },
    race: async ({ key: index }) => {
      const key = pick(index);
      const last = key?.secrets.at(-1);
      if (key === undefined || last === undefined) return;
      const tries = await Promise.all([one, two, one].map(({ keys }) => keys.rotate(last.id, 0)));
      const [issued, ...others] = tries.filter((each) => each !== undefined);
      if (others.length > 0) throw new Error('two nodes rotated one secret');
      if ((issued !== undefined) !== (last.over === undefined)) throw new Error('rotated against the rules');
      if (issued !== undefined) model.succeed(key, { id: issued.id, text: issued.key }, model.nowMs);
    },
    revoke: async ({ key: index }) => {
      const key = pick(index);
      if (key === undefined) return;
      const wasAlive = key.secrets.findLast((secret) => model.verdict(key, secret) === 'live');
      const isRevoked = await one.keys.revoke(wasAlive?.id ?? key.secrets.at(-1)?.id ?? '');
      if (isRevoked !== (wasAlive !== undefined)) throw new Error('revoked against the rules');
      if (!isRevoked) return;
      for (const secret of key.secrets) {
        secret.isWaiting = false;
        if (secret.over === undefined || secret.over.atMs > model.nowMs)
          secret.over = { state: 'revoked', atMs: model.nowMs };
      }
    },
    password: async ({ person }) => {
      const theirs = model.keys.filter(
        (key) => key.person === person && key.secrets.at(-1)?.over === undefined,
      );
      const count = await two.keys.credentialsChanged('acme', person.toUpperCase());
      if (count !== theirs.length) throw new Error(`${count} keys rotated in place of ${theirs.length}`);
      for (const key of theirs)
        model.succeed(key, { id: await newestId(one, key), text: undefined }, model.nowMs);
    },
    collect: async ({ key: index }) => {
      const key = pick(index);
      const last = key?.secrets.at(-1);
      if (key === undefined || last === undefined) return;
      const got = await Promise.all([one, two].map(({ keys }) => keys.collect(last.id, 'acme', key.person)));
      const [text, ...others] = got.flatMap((each) => (each === undefined ? [] : [each.key]));
      if (others.length > 0) throw new Error('a successor was handed out twice');
      if ((text !== undefined) !== last.isWaiting) throw new Error('collected against the rules');
      if (text !== undefined) Object.assign(last, { text, isWaiting: false });
    },
    restart: async () => {
      const { heard } = one;
      await one.keys.close();
      one.store.close();
      one = two.another();
      one.heard.push(...heard);
    },
  };
  try {
    for (const each of steps) {
      await (does[each.does] as (given: Step) => Promise<void>)(each);
      await compare(model, [one, two]);
    }
  } finally {
    for (const node of [one, two]) {
      await node.keys.close();
      node.store.close();
    }
  }
}

await test('whatever happens to keys, and on whichever node, each secret is worth what the rules say', async (t) => {
  const folder = temporaryDirectory();
  let [count, runs] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 15, maxLength: 60, size: 'max' }),
      fc.constantFrom(0, 3 * DAY_MS),
      async (steps, overlapMs) => {
        count += steps.length;
        runs += 1;
        await run(join(folder, `${runs}.db`), [{ does: 'issue', person: 'anna' }, ...steps], overlapMs);
      },
    ),
    { numRuns: 60 },
  );
  t.ok(count > 1000, `${count} steps`);
});
