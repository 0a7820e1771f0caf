import type { IncomingMessage, ServerResponse } from 'node:http';
import type { UserRecord, VisitRecord } from './crm-record.ts';
import type { FileShelf } from './file-shelf.ts';
import type { Leadership } from './leadership.ts';
import type { LiveHub } from './live-hub.ts';
import type { PeerGroup } from './peer-group.ts';
import type { Replica } from './replica.ts';
import type { Language } from './language.ts';

/** What one node is made of. */
export interface Crm {
  readonly region: string;
  readonly replica: Replica;
  readonly leadership: Leadership;
  readonly peers: PeerGroup;
  readonly files: FileShelf;
  readonly live: LiveHub;
  readonly staticDirectory: string;
  /** Shared by the CRM's own nodes. */
  readonly secret: string;
  readonly now: () => number;
}

/** One request, before anything is known of the visitor. */
export interface CrmRequest {
  readonly crm: Crm;
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly account: string;
  readonly language: Language;
}

/** One request and where its answer goes. */
export interface CrmContext extends CrmRequest {
  readonly response: ServerResponse;
}

/** The CRM session of a request. */
export interface Visiting {
  readonly visitId: string;
  readonly visit: VisitRecord;
}

/** A request with a CRM session, anonymous or not. */
export interface VisitContext extends CrmContext, Visiting {}

/** A request of a person who is signed in. */
export interface UserContext extends VisitContext {
  readonly user: UserRecord;
}
