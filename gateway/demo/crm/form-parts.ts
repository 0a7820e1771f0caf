import type { IncomingMessage } from 'node:http';
import { CrmProblem } from './crm-problem.ts';

/** One part of a multipart body. Its bytes must be read before the next part is asked for. */
export interface Part {
  readonly name: string;
  /** `undefined` for a plain field. */
  readonly fileName: string | undefined;
  readonly contentType: string;
  readonly bytes: AsyncGenerator<Buffer, void>;
}

const HEAD_LIMIT_BYTES = 16 * 1024;
const PART_LIMIT = 100;

/** The boundary of a multipart body, or `undefined` for any other body. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match = /^multipart\/form-data;.*\bboundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))/i.exec(
    contentType ?? '',
  );
  return match?.[1] ?? match?.[2];
}

/**
 * Reads a `multipart/form-data` body (RFC 7578) as a stream: memory holds about one chunk, whatever the size.
 *
 * Leaving the loop early does not cut the connection, so a refusal can still be answered.
 *
 * @throws CrmProblem 400 when the body is malformed or ends too early.
 */
export async function* readMultipart(request: IncomingMessage, boundary: string): AsyncGenerator<Part, void> {
  const reader = new BoundaryReader(request, boundary);
  await reader.skipPreamble();
  for (let count = 0; await reader.hasPart(); count += 1) {
    if (count === PART_LIMIT) throw new CrmProblem(400, 'too many parts');
    const head = await reader.readHead();
    const bytes = reader.readBody();
    yield { ...describe(head), bytes };
    // The next part begins where this one ends, also when nobody wanted its bytes.
    while ((await bytes.next()).done !== true);
  }
}

function describe(head: string): Omit<Part, 'bytes'> {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? '';
  const parameter = (name: string): string | undefined =>
    new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, 'i')
      .exec(disposition)?.[1]
      ?.replaceAll(/\\(.)/g, '$1');
  return {
    name: parameter('name') ?? '',
    fileName: parameter('filename'),
    contentType: /^content-type:\s*([^\s;]+)/im.exec(head)?.[1]?.toLowerCase() ?? 'application/octet-stream',
  };
}

class BoundaryReader {
  readonly #source: AsyncIterator<Buffer>;
  readonly #delimiter: Buffer;
  /** The body's own first boundary has no line break before it; one is put there so that all look the same. */
  #held: Buffer = Buffer.from('\r\n');

  constructor(request: IncomingMessage, boundary: string) {
    this.#source = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  }

  async skipPreamble(): Promise<void> {
    const preamble = this.readBody();
    while ((await preamble.next()).done !== true);
  }

  /** Stands behind a boundary: two dashes end the body, a line break begins a part. */
  async hasPart(): Promise<boolean> {
    while (this.#held.length < 2) await this.#fill();
    const mark = this.#held.toString('latin1', 0, 2);
    if (mark !== '--' && mark !== '\r\n') throw new CrmProblem(400, 'malformed multipart body');
    return mark === '\r\n';
  }

  async readHead(): Promise<string> {
    let end = this.#held.indexOf('\r\n\r\n');
    while (end === -1) {
      if (this.#held.length > HEAD_LIMIT_BYTES) throw new CrmProblem(400, 'the head of a part is too long');
      await this.#fill();
      end = this.#held.indexOf('\r\n\r\n');
    }
    const head = this.#held.toString('utf8', 0, end);
    // The line break before a boundary is kept, so that an empty body is found as well.
    this.#held = this.#held.subarray(end + 4);
    return head;
  }

  async *readBody(): AsyncGenerator<Buffer, void> {
    for (;;) {
      const end = this.#held.indexOf(this.#delimiter);
      if (end !== -1) {
        const last = this.#held.subarray(0, end);
        this.#held = this.#held.subarray(end + this.#delimiter.length);
        if (last.length > 0) yield last;
        return;
      }
      const safe = this.#held.length - this.#delimiter.length + 1;
      if (safe > 0) {
        const piece = this.#held.subarray(0, safe);
        this.#held = this.#held.subarray(safe);
        yield piece;
      }
      await this.#fill();
    }
  }

  async #fill(): Promise<void> {
    const next = await this.#source.next();
    if (next.done === true) throw new CrmProblem(400, 'the body ended too early');
    this.#held = Buffer.concat([this.#held, next.value]);
  }
}
