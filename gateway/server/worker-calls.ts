import type { FamilyNews } from './end-relay.ts';
import type { ClientCounts } from './client-connections.ts';
import type { GatewayStatus } from './control-api.ts';
import type { MetricFacts } from '../observability/metric-facts.ts';

/** An address that the supervisor has bound and all workers listen on. */
export interface SharedEndpoint {
  readonly address: string;
  readonly port: number;
}

/** What a worker begins with. Sent over the channel: nothing secret stands in a command line or an environment. */
export interface WorkerStart {
  /** The supervisor's copy of the policies in force. */
  readonly policies: string;
  readonly data: string;
  readonly version: string;
  readonly logFile: string | null;
  /** Base64 of the secret behind the session tickets. */
  readonly tickets: string;
  readonly public: SharedEndpoint;
  readonly admin: SharedEndpoint;
  /** How many workers share the limits of the node. */
  readonly share: number;
}

/** What a worker says of itself. */
export interface WorkerReport {
  readonly pid: number;
  readonly connections: number;
  readonly requestsOpen: number;
  readonly nodes: GatewayStatus['nodes'];
  /** Clients that hold many connections here. */
  readonly crowded: ClientCounts;
}

/** What the supervisor asks of a worker. */
export type WorkerCalls = {
  /** Opens the listeners; answered when they take connections. */
  start: { ask: WorkerStart; answer: boolean };
  news: { ask: FamilyNews; answer: boolean };
  tickets: { ask: string; answer: boolean };
  /** Reads and checks a set of policies and keeps it ready. Answers with its mistakes. */
  prepare: { ask: string; answer: string[] };
  /** Puts the prepared set into force, or forgets it. */
  commit: { ask: boolean; answer: boolean };
  /** Asked with the connections that clients hold at other workers. */
  report: { ask: ClientCounts; answer: WorkerReport };
  metrics: { ask: null; answer: MetricFacts[] };
  /** Takes no more connections and ends when the last answer is through; the process's end is the answer. */
  drain: { ask: null; answer: boolean };
};

/** What a worker asks of the supervisor. */
export type SupervisorCalls = {
  /** Answered when every other worker has learnt it. */
  news: { ask: FamilyNews; answer: boolean };
  /** Whether a client network may begin one more anonymous session: counted once for the whole node. */
  anonymous: { ask: string; answer: boolean };
};
