import { type DataPosition, readPosition } from './data-position.ts';

/** What a node says of its copy of the data. */
export interface NodeStatement {
  readonly role: 'primary' | 'replica';
  /** Goes up with every change of the primary; `undefined` when the node does not say. */
  readonly epoch: number | undefined;
  readonly position: DataPosition | undefined;
  /** How long ago everything was written that this copy holds; `undefined` when the node does not say. */
  readonly lagMs: number | undefined;
}

/** What a good answer to a health check says. */
export interface HealthReport {
  /** `undefined` for a plain 200, which says nothing of roles. */
  readonly statement: NodeStatement | undefined;
  /** The node wants no new requests. */
  readonly draining: boolean;
}

/** A node that is well and says nothing else. */
const PLAIN: HealthReport = { statement: undefined, draining: false };

/** Words under `status` with which a node calls itself ill, although it answers 200. */
const ILL = new Set(['fail', 'error', 'down', 'unhealthy']);

/**
 * Reads the body of a health answer:
 * `{"status":"ok","role":"primary","epoch":7,"position":"1234","lag_ms":0}`. Whatever is no JSON object is a plain
 * answer; so is an object without `role`, but for `status`.
 *
 * @returns `undefined` when the node calls itself ill, or when the document has a role and something in it is not
 *   what it must be: nothing is guessed about who may take writes.
 */
export function readHealthDocument(text: string): HealthReport | undefined {
  const document = jsonObject(text);
  if (document === undefined) return PLAIN;
  const { status, role } = document;
  if (typeof status === 'string' && ILL.has(status.toLowerCase())) return undefined;
  const draining = status === 'draining';
  if (role === undefined) return draining ? { statement: undefined, draining } : PLAIN;
  const statement = readStatement(document);
  return statement === undefined ? undefined : { statement, draining };
}

function readStatement({
  role,
  epoch,
  position,
  lag_ms: lagMs,
}: Record<string, unknown>): NodeStatement | undefined {
  if (role !== 'primary' && role !== 'replica') return undefined;
  if (!isWholeOrAbsent(epoch) || !isAmountOrAbsent(lagMs)) return undefined;
  const read = readPositionValue(position);
  return read === 'malformed' ? undefined : { role, epoch, position: read, lagMs };
}

function readPositionValue(position: unknown): DataPosition | undefined | 'malformed' {
  if (position === undefined || position === null) return undefined;
  if (typeof position !== 'string' && typeof position !== 'number') return 'malformed';
  return readPosition(String(position)) ?? 'malformed';
}

function isWholeOrAbsent(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0);
}

function isAmountOrAbsent(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value) && value >= 0);
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
