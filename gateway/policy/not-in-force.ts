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
    says: 'admins: the two are enrolled, but the admin listener lets nobody in yet; routes with access admin answer 404',
    isAsked: (all) => all.admins !== undefined,
  },
  {
    says: 'backup: nothing is copied yet; copy the data directory yourself',
    isAsked: (all) => all.backup !== undefined,
  },
  {
    says: 'regions.facility: no signal is taken yet',
    isAsked: ({ regions }) => regions.some((each) => each.facility !== undefined),
  },
  {
    says: 'admin_access: the admin listener lets nobody in yet',
    isAsked: ({ admin_access: { servers, networks } }) => servers.length + networks.length > 0,
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
