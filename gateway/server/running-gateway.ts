import type { Administrator } from '../admin/admin.ts';
import type { Environment } from '../config/environment.ts';
import type { Clock } from '../core/clock.ts';
import type { ListenerOrigins } from './open-listeners.ts';
import type { ReloadResult } from './policy-in-force.ts';

/** What a gateway is started with. */
export interface GatewayOptions {
  /** A policy file or a directory of them. */
  readonly policies: string;
  /** Where the embedded store, generated keys and the control socket live; made when missing. */
  readonly data: string;
  readonly environment: Environment;
  readonly version: string;
  /** Where the log goes instead of standard error: a file of the data directory, appended to. */
  readonly logFile?: string | undefined;
  readonly clock?: Clock;
  /** Set for the demo, which writes its policies anew: a start takes them as they are, whatever was kept before. */
  readonly startsAsWritten?: boolean;
  /** Enrolled on the very first start where the policies name nobody; the demo's. */
  readonly firstAdministrators?: readonly Administrator[] | undefined;
}

/** A gateway that serves. */
export interface Gateway {
  /** Origins with the ports that were bound. */
  readonly listeners: ListenerOrigins;
  /** How to trust a self-signed certificate; `undefined` when there is none. */
  readonly trust: { readonly caFile: string; readonly text: string } | undefined;
  /** Reads the policies again. A bad set changes nothing and says so in log and metric. */
  reload(): Promise<ReloadResult>;
  /** Resolves with a sentence once the gateway must stop, because a restore took the place of its state. */
  readonly superseded: Promise<string>;
  /**
   * Drains and closes everything; resolves when nothing is left.
   *
   * @param drainMs how long requests under way may take. Default as the policy says.
   */
  stop(drainMs?: number): Promise<void>;
}
