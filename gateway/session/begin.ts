import { profileOf } from './client-profile.ts';
import { CookieJar } from './cookie-jar.ts';
import { LiveFamily } from './live-family.ts';
import { newFamily } from './rotate.ts';
import { ADMIN_COOKIE, SESSION_COOKIE } from './session.ts';
import type { BeginRequest, LiveSession } from './session.ts';
import { familyBehind } from './session-keeper.ts';
import type { SessionKeeper } from './session-keeper.ts';
import { familyHash, newFamilySecret, tokenHash } from './token.ts';

/**
 * Begins a family under a new secret, so that an id planted before login is worth nothing after it (OWASP Session
 * Management Cheat Sheet "Renew the Session ID After Any Privilege Level Change"). The family that it follows ends
 * without any grace; its jar moves over, because the upstream may keep its own cookie through the login.
 */
export async function begin(
  keeper: SessionKeeper,
  request: BeginRequest,
): Promise<{ session: LiveSession; setCookie: string }> {
  const { store, vault } = keeper;
  const { account, subject, context } = request;
  const settings = keeper.settingsFor(context.certificate);
  const now = keeper.clock.now();
  const secret = newFamilySecret();
  const id = familyHash(secret);
  const token = keeper.mint.mint(secret, 0, now);
  const hash = tokenHash(token);
  const endsMs = now + (subject === undefined ? settings.anonymous.lifetimeMs : settings.lifetimeMs);
  const state = newFamily(now, hash, endsMs);
  const profile = profileOf(account, subject, context);
  const replaced = request.replaces === undefined ? undefined : familyBehind(request.replaces);
  const jar = (replaced?.jar ?? CookieJar.empty).apply(request.setCookies, now);
  await keeper.ask(
    store.create(
      {
        id,
        state,
        person:
          subject === undefined
            ? undefined
            : vault.person(account, subject, context.certificate === undefined ? 'person' : 'administrator'),
        createdMs: now,
        profile: vault.sealProfile(id, profile),
        jar: jar.size === 0 ? undefined : vault.sealJar(id, secret, jar),
        jarVersion: 0,
      },
      settings.perSubject,
    ),
  );
  if (replaced !== undefined) await keeper.ask(store.end(replaced.id, 'login'));
  const family = new LiveFamily(
    { id, secret, createdMs: now, profile, jar, jarVersion: 0, state },
    keeper.clock,
  );
  family.fits(context, { userAgent: true, network: true });
  if (subject !== undefined) keeper.observer.began?.(family.identity, whatWas(replaced));
  const endedMeanwhile = keeper.registry.reasonOf(id);
  if (endedMeanwhile === undefined) {
    keeper.renew(family);
    keeper.registry.add(family);
    keeper.registry.setCurrent(family, token, hash);
  } else {
    family.finish(endedMeanwhile);
  }
  return { session: family, setCookie: cookieOf(family, token, now) };
}

/**
 * The `Set-Cookie` value of a token. Max-Age is relative, because browsers' clocks are wrong; it ends with the
 * family's lifetime.
 */
export function cookieOf({ endsMs, profile }: LiveFamily, token: string, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((endsMs - nowMs) / 1000));
  const name = profile.certificate === undefined ? SESSION_COOKIE : ADMIN_COOKIE;
  return `${name}=${token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${seconds}`;
}

function whatWas(replaced: LiveFamily | undefined): 'nothing' | 'anonymous' | 'session' {
  if (replaced === undefined) return 'nothing';
  return replaced.subject === undefined ? 'anonymous' : 'session';
}
