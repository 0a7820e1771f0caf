import type { EndReason, StoredFamily, UseOutcome } from '../store/session-store.ts';
import { profileMatches } from './client-profile.ts';
import type { LiveFamily } from './live-family.ts';
import { isSettled, reissueGapMs, reuseKind } from './rotate.ts';
import type { ClientContext, Verdict } from './session.ts';
import type { SessionKeeper } from './session-keeper.ts';
import { tokenHash } from './token.ts';
import type { ParsedToken } from './token.ts';

const NONE: Verdict = { kind: 'none' };
const FULL_CONTEXT = { userAgent: true, network: true };

/** What a request presents. */
interface Presented {
  readonly token: string;
  readonly parsed: ParsedToken;
  readonly context: ClientContext;
  readonly passive: boolean;
}

/**
 * Decides what a token is when memory alone does not know. Garbage, and ids of families that ended while this
 * process ran, are answered without asking the store.
 */
export function present(
  keeper: SessionKeeper,
  token: string,
  context: ClientContext,
  passive: boolean,
): Verdict | Promise<Verdict> {
  const parsed = keeper.mint.verify(token);
  if (parsed === undefined) return NONE;
  const reason = keeper.registry.reasonOf(parsed.id);
  if (reason !== undefined) return { kind: 'ended', reason };
  return ask(keeper, { token, parsed, context, passive });
}

async function ask(keeper: SessionKeeper, presented: Presented): Promise<Verdict> {
  const { token, parsed, context, passive } = presented;
  const known = keeper.registry.get(parsed.id);
  if (known !== undefined) {
    if (!known.fits(context, keeper.settings.bind)) return refuse(keeper, known, misfit(known, context));
    await saveIfNeeded(keeper, known, passive);
  }
  const hash = tokenHash(token);
  const limits = crashLimits(keeper, known, context);
  const { answer, isStale } = await keeper.askAbout(parsed.id, () =>
    keeper.store.use(parsed.id, hash, passive, limits, parsed.issuedMs),
  );
  // Genuine, and unknown to the store: the family is past its lifetime and was swept.
  if (answer === undefined) return over(keeper, parsed.id, 'lifetime');
  const { outcome, family: stored } = answer;
  if (stored.state.status === 'dead') return dead(keeper, presented, outcome, stored);
  const buried = keeper.registry.reasonOf(parsed.id);
  if (buried !== undefined) return { kind: 'ended', reason: buried };
  const family = keeper.registry.get(parsed.id) ?? keeper.load(parsed.familySecret, stored);
  if (family === undefined) {
    await keeper.ask(keeper.store.end(parsed.id, 'revoked'));
    return over(keeper, parsed.id, 'revoked');
  }
  keeper.refresh(family, stored);
  if (isStale) family.freshUntilMs = 0;
  if (!family.fits(context, keeper.settings.bind)) return refuse(keeper, family, misfit(family, context));
  if (outcome === 'ok_regress' && !profileMatches(family.profile, context, FULL_CONTEXT)) {
    return refuse(keeper, family, ['reuse', 'reuse']);
  }
  return accept(keeper, family, presented, outcome, stored, hash);
}

function accept(
  keeper: SessionKeeper,
  family: LiveFamily,
  presented: Presented,
  outcome: UseOutcome,
  stored: StoredFamily,
  hash: string,
): Verdict {
  const { token } = presented;
  const now = keeper.clock.now();
  family.savedMs = Math.max(family.savedMs, stored.state.seenMs);
  // An id in flight says nothing of the newer one, whose silence a crash is judged by.
  if (outcome !== 'ok_inflight') family.usedMs = now;
  const sole = isSettled(stored.state) ? stored.state.active[0]?.[0] : undefined;
  if (sole === hash) keeper.registry.setCurrent(family, token, hash);
  else if (sole !== family.current?.hash) keeper.registry.setCurrent(family, undefined);
  report(keeper, family, outcome);
  const due = outcome === 'ok_due' && now - family.triedMs >= reissueGapMs(keeper.settings);
  return { kind: 'live', session: family, token, due };
}

function report(keeper: SessionKeeper, family: LiveFamily, outcome: UseOutcome): void {
  if (outcome === 'ok_confirm') keeper.observer.rotated();
  else if (outcome === 'ok_inflight' || outcome === 'ok_sibling') keeper.observer.graceHit();
  else if (outcome === 'ok_regress') keeper.observer.theft('crash_regress', family.identity);
}

function dead(
  keeper: SessionKeeper,
  presented: Presented,
  outcome: UseOutcome,
  stored: StoredFamily,
): Verdict {
  const { parsed, context } = presented;
  if (outcome === 'reuse' || outcome === 'fork') {
    const profile = keeper.vault.openProfile(stored.id, stored.profile);
    const same = profile !== undefined && profileMatches(profile, context, FULL_CONTEXT);
    const kind = outcome === 'reuse' ? reuseKind(parsed.generation, stored.state, same) : outcome;
    const { account = '', subject } = profile ?? {};
    keeper.observer.theft(kind, { id: stored.id, account, subject });
  }
  return over(keeper, parsed.id, stored.state.reason === '' ? 'revoked' : stored.state.reason);
}

function over(keeper: SessionKeeper, id: string, reason: EndReason): Verdict {
  keeper.learnEnd(id, reason);
  return { kind: 'ended', reason };
}

/** Why a client does not fit, for the store and for whoever watches: a foreign certificate is no change of browser. */
function misfit(family: LiveFamily, { certificate }: ClientContext): readonly [EndReason, string] {
  return ['context', certificate === family.profile.certificate ? 'context' : 'certificate'];
}

async function refuse(
  keeper: SessionKeeper,
  family: LiveFamily,
  [reason, kind]: readonly [EndReason, string],
): Promise<Verdict> {
  await keeper.convict(family, reason, kind);
  return { kind: 'ended', reason: family.ended ?? reason };
}

/**
 * Lets the store learn of a family's activity before it judges an id, so that it never takes one for idle that is
 * only written late. An active use brings its own activity along; that saves the trip.
 */
async function saveIfNeeded(keeper: SessionKeeper, known: LiveFamily, passive: boolean): Promise<void> {
  if (passive || keeper.clock.now() - known.savedMs >= keeper.saveEveryMs) await keeper.save(known);
}

/**
 * A crash is believed only when the newer id has been silent. The store sees every use of it only if this process
 * did not serve it from memory, so what memory knows is asked as well.
 */
function crashLimits(
  keeper: SessionKeeper,
  known: LiveFamily | undefined,
  { certificate }: ClientContext,
): SessionKeeper['settings'] {
  const settings = keeper.settingsFor(certificate);
  const silent = known === undefined || keeper.clock.now() - known.usedMs > settings.graceMs;
  return silent || !settings.crashGrace ? settings : { ...settings, crashGrace: false };
}
