import type { KeyService } from '../api-key/api-key.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { PublicJwk } from '../crypto/assertion-key.ts';
import type { LoadLevel } from '../observability/event-loop-load.ts';
import type { LimitTable } from '../rate-limit/limit-table.ts';
import type { SessionService } from '../session/session.ts';
import type { AdminServices } from './admin-services.ts';
import type { KnownClients } from './known-client.ts';
import type { LimitReport } from './limit-report.ts';
import type { AccountPage } from './own-page.ts';
import type { CredentialChanges } from './credential-change.ts';
import type { OwnWrites } from './own-writes.ts';
import type { RequestContext } from './request-context.ts';
import type { AssertionSigner } from './upstream-headers.ts';

/** Where the pipeline reports what happened. Must not throw and must not block. */
export interface PipelineReport {
  /** A request is over; its context says how. */
  finished(context: RequestContext, sentBytes: number, complete: boolean): void;
  /** A stream opened (+1) or closed (-1). */
  stream(kind: 'websocket' | 'sse', change: 1 | -1): void;
  /** A request is tried at another node, because this one could not be connected to or does not answer. */
  failover(fromRegion: string, fromOrigin: string): void;
  /** Something an operator should read; never holds a secret. */
  notice(message: string, facts: Record<string, string | number | boolean>): void;
}

/** What the stages work with; built once by the composition root. */
export interface PipelineServices {
  readonly clock: Clock;
  readonly sessions: SessionService;
  readonly keys: KeyService;
  readonly credentials: CredentialChanges;
  readonly audit: Pick<AuditSink, 'commit'>;
  /** The page of a person's own keys and devices. */
  readonly accountPage: AccountPage;
  readonly signer: AssertionSigner;
  /** Public keys of the assertions (RFC 7517). */
  readonly publicKeys: readonly PublicJwk[];
  readonly report: PipelineReport;
  /** What serves administrators. */
  readonly administration: AdminServices;
  /** Who wrote what, so that their own reads see it. */
  readonly ownWrites: OwnWrites;
  /** How overloaded this process is. */
  readonly load: { readonly level: LoadLevel };
  /** Counts requests, answer bytes, requests at once and failed sign-ins. */
  readonly limits: LimitTable;
  readonly limitReport: LimitReport;
  readonly knownClients: KnownClients;
  /** Counts one more anonymous session of a client. @returns whether there is room for it. */
  takeAnonymous(clientNetwork: string): Promise<boolean>;
}
