import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Environment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { verifyWebhook, webhookKey } from '../crypto/webhook-signature.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { Policy } from '../policy/policy.ts';
import { changeId } from '../upstream/region-record.ts';
import { type FacilitySignal, isFacilitySignal } from '../upstream/region-state.ts';
import type { SharedConditions } from '../upstream/shared-conditions.ts';

/** Where signals come in, followed by the id of a region. */
export const FACILITY_PREFIX = '/.zasov/facility/';

/** One message to the door, whatever listener it came to. */
export interface FacilityMessage {
  readonly method: string;
  /** Path without a query. */
  readonly path: string;
  /** Looks a header up by its lower-case name. */
  readonly header: (name: string) => string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  readonly listener: 'ops' | 'admin';
}

/** What the sender is answered. */
export interface FacilityAnswer {
  readonly status: number;
  /** Flat lower-case names and values. */
  readonly headers: string[];
  readonly body: string;
}

/** What the door works with. */
export interface FacilityDoorOptions {
  readonly conditions: SharedConditions;
  readonly clock: Clock;
  readonly environment: Environment;
  readonly metrics: Pick<GatewayMetrics, 'facilitySignals'>;
  readonly logger: Logger;
  readonly audit: AuditSink;
}

/** A key of a region, and whether another region has the same. */
interface RegionKey {
  readonly key: Buffer;
  readonly isShared: boolean;
}

/** What has been found out of a message so far, for metric and audit. */
interface Heard {
  region: string;
  type: string;
}

const TOLERANCE_SECONDS = 300;
/** A repetition is stale by then on every node, whatever their clocks say. */
const REMEMBER_MS = 2 * TOLERANCE_SECONDS * 1000 + 60_000;
const BODY_BYTES = 16 * 1024;
const LONGEST_ID = 256;

/**
 * Takes the signed signals of buildings (Standard Webhooks 1.0): `webhook-id`, `webhook-timestamp` and
 * `webhook-signature` over `id.timestamp.body`, by the key of the region in the path. A signal that closes its region is
 * in force here before anything is waited for; the answer says whether all nodes have it.
 */
export class FacilityDoor {
  readonly #options: FacilityDoorOptions;
  #keys: ReadonlyMap<string, RegionKey> = new Map();

  constructor(options: FacilityDoorOptions) {
    this.#options = options;
  }

  /** Takes the keys of the policy's regions; a key that cannot be read leaves the one before. */
  configure({ regions }: Pick<Policy, 'regions'>): void {
    const { environment, logger } = this.#options;
    const keys = new Map<string, Buffer>();
    for (const { id, facility } of regions) {
      if (facility === undefined) continue;
      const reading = readSecret(facility.secret, environment);
      const before = this.#keys.get(id)?.key;
      if ('value' in reading) keys.set(id, webhookKey(reading.value));
      else {
        logger.error('the key of a facility cannot be read', { region: id, problem: reading.problem });
        if (before !== undefined) keys.set(id, before);
      }
    }
    const isShared = (key: Buffer) => [...keys.values()].filter((each) => each.equals(key)).length > 1;
    this.#keys = new Map([...keys].map(([id, key]) => [id, { key, isShared: isShared(key) }]));
  }

  /** Answers a message of the plain HTTP listener. Never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, headers, body } = await this.take({
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0] ?? '',
      header: (name) => {
        const value = request.headers[name];
        return Array.isArray(value) ? value.join(', ') : value;
      },
      body: request.iterator({ destroyOnReturn: false }),
      listener: 'ops',
    });
    // What is left of a body that was refused is not read.
    if (!request.complete) response.setHeader('connection', 'close');
    response.writeHead(status, headers);
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  /** Takes one message. Never rejects. */
  async take(message: FacilityMessage): Promise<FacilityAnswer> {
    const heard: Heard = { region: '-', type: '-' };
    const { logger } = this.#options;
    try {
      return await this.#take(message, heard);
    } catch (thrown) {
      const error =
        thrown instanceof GatewayError
          ? thrown
          : new GatewayError('internal', 'a signal could not be taken', { cause: thrown });
      if (error.code === 'internal') logger.error('a signal could not be taken', { error });
      this.#refused(heard, error, message.listener);
      return problemAnswer(error);
    }
  }

  async #take(message: FacilityMessage, heard: Heard): Promise<FacilityAnswer> {
    const region = message.path.slice(FACILITY_PREFIX.length);
    const regionKey = this.#keys.get(region);
    if (regionKey === undefined)
      throw new GatewayError('region_unknown', 'a signal for no region that takes any');
    heard.region = region;
    if (message.method !== 'POST') throw new GatewayError('method_refused', 'signals are POSTed');
    const { id, timestamp, signature } = this.#head(message);
    const body = await readBody(message);
    if (!verifyWebhook(regionKey.key, { id, timestamp, body }, signature))
      throw new GatewayError('signal_unsigned', 'the signature is not of this region');
    const type = readType(body, region, regionKey.isShared);
    heard.type = type;
    const token = {
      id: changeId(region, id),
      untilMs: this.#options.clock.now() + REMEMBER_MS,
    };
    if (this.#options.conditions.wasSeen(region, token.id))
      throw new GatewayError('signal_replayed', 'the id was received before');
    return await this.#act(region, type, token, message.listener);
  }

  #head({ header }: FacilityMessage): { id: string; timestamp: string; signature: string } {
    const id = header('webhook-id') ?? '';
    const timestamp = header('webhook-timestamp') ?? '';
    const signature = header('webhook-signature') ?? '';
    if (id === '' || id.length > LONGEST_ID || signature === '')
      throw new GatewayError('signal_unsigned', 'webhook-id or webhook-signature is missing or too long');
    const seconds = /^[0-9]{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
    const agedSeconds = Math.abs(this.#options.clock.now() / 1000 - seconds);
    if (!(agedSeconds <= TOLERANCE_SECONDS))
      throw new GatewayError('signal_stale', 'webhook-timestamp is missing or more than five minutes off');
    return { id, timestamp, signature };
  }

  async #act(
    region: string,
    type: FacilitySignal,
    token: { id: string; untilMs: number },
    listener: FacilityMessage['listener'],
  ): Promise<FacilityAnswer> {
    const { conditions, metrics, logger, audit } = this.#options;
    // Nothing may stand between a seal and this line: no record, no log, no file.
    const work =
      type === 'clear' ? conditions.relieve(region, type, token) : conditions.tighten(region, type, token);
    const outcome = await work;
    if (outcome === 'repeated')
      throw new GatewayError('signal_replayed', 'another node received the id before');
    const condition = conditions.of(region);
    const isRecorded = outcome !== 'held';
    metrics.facilitySignals.child({ region, type, result: 'taken' }).inc();
    logger.warn('a facility reported', { region, type, condition, recorded: isRecorded, listener });
    audit.note({
      event: 'facility.signal',
      facts: { region, type, condition, recorded: isRecorded, listener },
    });
    const body = JSON.stringify({ region, state: condition, recorded: isRecorded });
    return {
      status: isRecorded ? 200 : 202,
      headers: [
        ...COMMON,
        'content-type',
        'application/json',
        'content-length',
        String(Buffer.byteLength(body)),
      ],
      body,
    };
  }

  #refused({ region, type }: Heard, { code }: GatewayError, listener: string): void {
    const { metrics, logger, audit } = this.#options;
    metrics.facilitySignals.child({ region, type, result: RESULTS[code] ?? 'refused' }).inc();
    const facts = { region, type, code, listener };
    logger.warn('a signal of a facility was refused', facts);
    // Whoever reaches the listener can be refused as often as they like.
    audit.note({ event: 'facility.refused', facts, repeats: `${region} ${code}` });
  }
}

/** What the metric calls a refusal; the metric's documentation lists these. */
const RESULTS: Partial<Record<GatewayError['code'], string>> = {
  region_unknown: 'unknown_region',
  signal_unsigned: 'bad_signature',
  signal_stale: 'stale',
  signal_replayed: 'replayed',
  signal_unknown: 'unknown_type',
  store_unavailable: 'unavailable',
};

const COMMON = ['cache-control', 'no-store', 'x-content-type-options', 'nosniff'];

/** @throws GatewayError `body_too_large`; what is left of the body stays unread. */
async function readBody({ body }: FacilityMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > BODY_BYTES) throw new GatewayError('body_too_large', 'a signal of more than 16 KiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Reads what is reported. A body may name its region, which must then be the one of the path; where two regions share
 * a key it has to, because the signature does not cover the path.
 *
 * @throws GatewayError `bad_request`, `signal_unknown` or `signal_unsigned`.
 */
function readType(body: Buffer, region: string, isShared: boolean): FacilitySignal {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw new GatewayError('bad_request', 'the body of a signal is not JSON');
  }
  if (typeof value !== 'object' || value === null || !('type' in value))
    throw new GatewayError('bad_request', 'the body of a signal has no type');
  const named = 'region' in value ? value.region : undefined;
  if (named === undefined ? isShared : named !== region)
    throw new GatewayError('signal_unsigned', 'the signal is not for the region of its path');
  if (!isFacilitySignal(value.type)) throw new GatewayError('signal_unknown', 'a signal of an unknown type');
  return value.type;
}

function problemAnswer({ code, status, title, retryAfterSeconds }: GatewayError): FacilityAnswer {
  const body = JSON.stringify({ type: `urn:zasov:problem:${code}`, title, status, code });
  const headers = [...COMMON, 'content-type', 'application/problem+json'];
  headers.push('content-length', String(Buffer.byteLength(body)));
  if (status === 405) headers.push('allow', 'POST');
  if (code === 'store_unavailable') headers.push('retry-after', String(retryAfterSeconds ?? 2));
  return { status, headers, body };
}
