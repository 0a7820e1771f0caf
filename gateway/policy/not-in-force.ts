import type { PolicySettings } from './policy-schema.ts';

/** What a set of policies asks for and this version does not do. */
export interface NotInForce {
  /** Settings that it would be dangerous to pass over: the gateway does not start on them. */
  readonly refused: readonly string[];
  /** Settings that wait for later work; until then the gateway is closed there, not open. */
  readonly waiting: readonly string[];
}

interface Gap {
  readonly says: string;
  readonly isAsked: (settings: PolicySettings) => boolean;
}

/** Passing these over would leave a host without its certificate, or a session without its device. */
const REFUSED: readonly Gap[] = [
  {
    says: 'tls.certificates acme: this version takes certificates from files or makes its own',
    isAsked: hasAcme,
  },
  {
    says: 'sessions.device require: this version binds no device',
    isAsked: ({ sessions }) => sessions.device === 'require',
  },
];

const WAITING: readonly Gap[] = [
  {
    says: 'admin_access.passkey require: there are no passkeys yet; the certificate alone opens',
    isAsked: ({ admins, admin_access: { passkey } }) => admins !== undefined && passkey === 'require',
  },
];

/** Says which settings of a valid set this version does not act on, so that nobody relies on them by mistake. */
export function notInForce(settings: PolicySettings): NotInForce {
  const asked = (gaps: readonly Gap[]) =>
    gaps.filter(({ isAsked }) => isAsked(settings)).map(({ says }) => says);
  return { refused: asked(REFUSED), waiting: asked(WAITING) };
}

function hasAcme({ tls }: PolicySettings): boolean {
  return tls.certificates?.some(({ acme }) => acme !== undefined) === true;
}
