/** The life of proposals as plain rules: two people and a third, two nodes, a clock moved by hand. */
import { type ProposalPayload, signPayload } from '../../gateway/admin/proposal.ts';
import type { RecordStore } from '../../gateway/store/record-store.ts';
import { listed } from '../support/administrator.ts';
import * as fc from '../support/property-based.ts';
import {
  type DeskBench,
  deskBench,
  type DeskNode,
  HOUR_MS,
  people,
  RESTORE,
  UNSEAL,
} from './approval-bench.ts';

const LEASE_MS = 30_000;

type Person = keyof typeof people;
const person = fc.constantFrom<Person>('anna', 'boris', 'anna', 'boris', 'carl');
const node = fc.constantFrom<0 | 1>(0, 1);
/** Mostly the latest: what was proposed long ago is over. */
const which = fc.constantFrom(0, 0, 0, 0, 1, 2, 3);
/** One thing that somebody does, or that happens. */
export const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('propose' as const),
      person,
      node,
      action: fc.constantFrom(UNSEAL, UNSEAL, RESTORE),
      lifetimeMs: fc.constantFrom(HOUR_MS, HOUR_MS, 600_000, 0, -1, HOUR_MS + 1),
    }),
  },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('approve' as const), person, node, which }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('race' as const), person, which }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('reject' as const), person, node, which }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('replay' as const), person, node, which }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('borrow' as const), person, node, which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('wait' as const),
      ms: fc.constantFrom(1000, LEASE_MS - 1, LEASE_MS, 600_000, HOUR_MS),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('tick' as const), node }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('both tick' as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const), node }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('mood' as const),
      node,
      mood: fc.constantFrom('works' as const, 'dies' as const, 'fails' as const),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A proposal as the plain rules see it. */
interface ModelProposal {
  readonly payload: ProposalPayload;
  readonly by: Person;
  state: 'open' | 'executing' | 'done' | 'failed' | 'rejected' | 'expired';
  leaseUntilMs: number;
  carried: number;
}

class World {
  readonly bench: DeskBench;
  readonly nodes: [DeskNode, DeskNode];
  readonly proposals: ModelProposal[] = [];

  constructor(bench: DeskBench, nodes: [DeskNode, DeskNode]) {
    this.bench = bench;
    this.nodes = nodes;
  }

  get now(): number {
    return this.bench.clock.now();
  }

  expire(): void {
    for (const each of this.proposals)
      if (each.state === 'open' && each.payload.expires_ms <= this.now) each.state = 'expired';
  }

  pick(index: number): ModelProposal | undefined {
    return this.proposals.at(-1 - (index % Math.max(1, this.proposals.length)));
  }

  /** A node sees an approved action: what becomes of it. */
  async carry(at: 0 | 1, proposal: ModelProposal): Promise<void> {
    const { mood, desk } = this.nodes[at];
    proposal.carried++;
    proposal.state = mood === 'works' ? 'done' : mood === 'fails' ? 'failed' : 'executing';
    proposal.leaseUntilMs = this.now + LEASE_MS;
    if (mood !== 'dies') return desk.idle();
    await this.until(() => this.carriedOf(proposal) === proposal.carried);
    await this.restart(at);
  }

  carriedOf({ payload }: ModelProposal): number {
    return this.bench.carried.filter(({ id }) => id === payload.id).length;
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
  }

  async restart(at: 0 | 1): Promise<void> {
    this.nodes[at].close();
    this.nodes[at] = await this.bench.open();
  }

  /** The two are the only ones, and they are what the store says on both nodes. */
  async verify(): Promise<void> {
    for (const { desk } of this.nodes) {
      await desk.refresh();
      for (const { payload, state } of desk.proposals) {
        const model = this.proposals.find((each) => each.payload.id === payload.id);
        // What has expired is swept by the next step only; it opens nothing meanwhile.
        const seen = state === 'open' && payload.expires_ms <= this.now ? 'expired' : state;
        assertEqual(seen, model?.state, `state of ${payload.id}`);
      }
      for (const kind of ['unseal_region', 'restore'])
        assertEqual(
          desk.proposals.filter((each) => each.payload.kind === kind && each.state === 'open').length <= 1,
          true,
          `one open ${kind}`,
        );
    }
    for (const each of this.proposals) assertEqual(this.carriedOf(each), each.carried, `times carried out`);
  }
}

function assertEqual(found: unknown, wanted: unknown, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${String(found)} instead of ${String(wanted)}`);
}

/** The refusal must be one of those that hold; without any it must not be refused. */
function assertOutcome(outcome: object, refusals: readonly (string | false)[], what: string): boolean {
  const possible = refusals.filter((each) => each !== false);
  const refused = 'refused' in outcome ? String(outcome.refused) : undefined;
  const isRight = refused === undefined ? possible.length === 0 : possible.includes(refused);
  if (!isRight)
    throw new Error(`${what}: ${refused ?? 'done'} instead of ${possible.join(' or ') || 'done'}`);
  return refused === undefined;
}

/** What each step does in the real world and in the plain rules; throws where the two differ. */
const TAKE: { [K in Step['does']]: (world: World, does: Step & { does: K }) => Promise<void> | void } = {
  propose: async (world, does) => {
    const payload = world.bench.payload(does.action, does.lifetimeMs);
    const outcome = await world.bench.propose(world.nodes[does.node], people[does.person], payload);
    const isOpened = assertOutcome(outcome, proposeRefusals(world, does.person, payload), 'propose');
    if (isOpened)
      world.proposals.push({ payload, by: does.person, state: 'open', leaseUntilMs: 0, carried: 0 });
  },
  approve: async (world, does) => {
    const proposal = world.pick(does.which);
    if (proposal === undefined) return;
    const outcome = await world.bench.approve(world.nodes[does.node], people[does.person], proposal.payload);
    const isApproved = assertOutcome(outcome, approveRefusals(proposal, does.person), 'approve');
    if (isApproved) await world.carry(does.node, proposal);
  },
  race: (world, does) => race(world, does.person, world.pick(does.which)),
  reject: async (world, does) => {
    const proposal = world.pick(does.which);
    if (proposal === undefined) return;
    const { desk } = world.nodes[does.node];
    const outcome = await desk.reject(listed(people[does.person]), proposal.payload.id);
    const isOver = proposal.state === 'expired' ? 'expired' : proposal.state !== 'open' && 'not_open';
    if (assertOutcome(outcome, [does.person === 'carl' && 'not_listed', isOver], 'reject'))
      proposal.state = 'rejected';
  },
  // The very bytes that were accepted once, sent again by whoever.
  replay: async (world, does) => {
    const proposal = world.pick(does.which);
    if (proposal === undefined) return;
    const signature = signPayload(proposal.payload, people[proposal.by].privateKey);
    const sender = listed(people[does.person]);
    const outcome = await world.nodes[does.node].desk.propose(sender, proposal.payload, signature);
    assertOutcome(outcome, ['replayed', does.person !== proposal.by && 'bad_signature'], 'replay');
  },
  // A signature under another payload, and the other one's signature in one's own name.
  borrow: async (world, does) => {
    const proposal = world.pick(does.which);
    if (proposal === undefined) return;
    const { desk } = world.nodes[does.node];
    const wrong = signPayload(world.bench.payload(UNSEAL), people[does.person].privateKey);
    const other = people[does.person === 'anna' ? 'boris' : 'anna'];
    for (const signature of [wrong, signPayload(proposal.payload, other.privateKey)]) {
      const outcome = await desk.approve(listed(people[does.person]), proposal.payload.id, signature);
      assertOutcome(outcome, ['bad_signature'], 'borrowed signature');
    }
  },
  wait: (world, does) => world.bench.clock.advance(does.ms),
  tick: (world, does) => tick(world, does.node),
  'both tick': bothTick,
  restart: (world, does) => world.restart(does.node),
  mood: (world, does) => {
    world.nodes[does.node].mood = does.mood;
  },
};

async function take(world: World, does: Step): Promise<void> {
  world.expire();
  await (TAKE[does.does] as (world: World, does: Step) => Promise<void> | void)(world, does);
}

function proposeRefusals(world: World, by: Person, payload: ProposalPayload) {
  const isTaken = world.proposals.some(
    (each) => each.payload.kind === payload.kind && (each.state === 'open' || each.state === 'executing'),
  );
  return [
    isTaken && 'open_already',
    payload.expires_ms <= world.now && 'expired',
    payload.expires_ms > world.now + HOUR_MS && 'wrong_expiry',
    by === 'carl' && 'not_listed',
  ];
}

function approveRefusals(proposal: ModelProposal, by: Person) {
  return [
    proposal.state === 'expired' && 'expired',
    proposal.state !== 'open' && proposal.state !== 'expired' && 'not_open',
    proposal.by === by && 'own_signature',
    by === 'carl' && 'not_listed',
  ];
}

/** The same approval on both nodes at once: one is taken, and the action is carried out once. */
async function race(world: World, by: Person, proposal: ModelProposal | undefined): Promise<void> {
  if (proposal === undefined || world.nodes.some(({ mood }) => mood !== 'works')) return;
  const outcomes = await Promise.all(
    world.nodes.map((each) => world.bench.approve(each, people[by], proposal.payload)),
  );
  await Promise.all(world.nodes.map(({ desk }) => desk.idle()));
  const refusals = approveRefusals(proposal, by).filter((each) => each !== false);
  const taken = outcomes.filter((outcome) => !('refused' in outcome)).length;
  assertEqual(taken, refusals.length === 0 ? 1 : 0, 'approvals taken');
  if (taken === 0) return;
  proposal.state = 'done';
  proposal.carried++;
}

/** A node looks around: it takes over what another died of, once the lease is over. */
async function tick(world: World, at: 0 | 1): Promise<void> {
  const { desk, mood } = world.nodes[at];
  const due = world.proposals.filter((each) => each.state === 'executing' && each.leaseUntilMs <= world.now);
  if (mood === 'dies' && due.length > 0) return;
  await desk.refresh();
  await desk.tick();
  await desk.idle();
  for (const proposal of due) {
    proposal.carried++;
    proposal.state = mood === 'works' ? 'done' : 'failed';
  }
}

async function bothTick(world: World): Promise<void> {
  if (world.nodes.some(({ mood }) => mood !== 'works')) return;
  const due = world.proposals.filter((each) => each.state === 'executing' && each.leaseUntilMs <= world.now);
  await Promise.all(
    world.nodes.map(async ({ desk }) => {
      await desk.refresh();
      await desk.tick();
      await desk.idle();
    }),
  );
  for (const proposal of due) {
    proposal.carried++;
    proposal.state = 'done';
  }
}

/**
 * Lives one history on two nodes and compares it with the plain rules after every step.
 *
 * @throws Error where the two differ.
 */
export async function live(openRecords: () => Promise<RecordStore> | RecordStore, steps: readonly Step[]) {
  const bench = deskBench(openRecords);
  const world = new World(bench, [await bench.open(), await bench.open()]);
  try {
    for (const each of steps) {
      await take(world, each);
      world.expire();
      await world.verify();
    }
  } finally {
    for (const each of world.nodes) each.close();
  }
  return world.proposals;
}
