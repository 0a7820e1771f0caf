import { hash } from 'node:crypto';
import { clientNetwork } from '../core/network.ts';
import type { ClientContext, SessionSettings } from './session.ts';

/** Most characters of a user agent that are kept to show a person their devices. */
const USER_AGENT_CHARS = 200;

/** Whose session it is and what it was begun with; stored sealed. */
export interface ClientProfile {
  readonly account: string;
  readonly subject: string | undefined;
  readonly userAgent: string;
  /** Of the whole user agent, which may be longer than what is kept. */
  readonly userAgentHash: string;
  /** /24 or /64 of the address. */
  readonly network: string;
  /** The fingerprint of the administrator's key that the session belongs to; absent for everybody else. */
  readonly certificate?: string | undefined;
}

/** Describes the client that begins a session. */
export function profileOf(
  account: string,
  subject: string | undefined,
  context: ClientContext,
): ClientProfile {
  return {
    account,
    subject,
    userAgent: context.userAgent.slice(0, USER_AGENT_CHARS),
    userAgentHash: hashUserAgent(context.userAgent),
    network: clientNetwork(context.clientAddress),
    certificate: context.certificate,
  };
}

/** Reads a profile that was sealed as JSON. */
export function parseProfile(text: string): ClientProfile {
  return JSON.parse(text) as ClientProfile;
}

/** Whether the client looks like the one that the session was begun with, as far as the settings ask. */
export function profileMatches(
  profile: ClientProfile,
  context: ClientContext,
  bind: SessionSettings['bind'],
): boolean {
  if (bind.userAgent && hashUserAgent(context.userAgent) !== profile.userAgentHash) return false;
  return !bind.network || clientNetwork(context.clientAddress) === profile.network;
}

function hashUserAgent(userAgent: string): string {
  return hash('sha256', userAgent, 'base64url').slice(0, 22);
}
