import { request } from 'node:http';
import { join } from 'node:path';

/** An answer of a running gateway. */
export interface ControlReply {
  readonly status: number;
  readonly value: unknown;
}

/**
 * Calls the control API of the gateway that runs on a data directory.
 *
 * @param body sent as JSON; nothing is sent when it is `undefined`.
 * @throws Error with a sentence for the operator when none runs or it does not answer within 30 s.
 */
export function callControl(
  dataDirectory: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<ControlReply> {
  const socketPath = join(dataDirectory, 'control.sock');
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: 30_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const value = parseJson(Buffer.concat(chunks).toString());
        if (value === undefined) reject(new Error('the gateway answered something that is not JSON'));
        else resolve({ status: response.statusCode ?? 0, value });
      });
    });
    call.on('timeout', () => call.destroy(new Error('the gateway did not answer within 30 s')));
    call.on('error', (error: Error & { code?: string }) => reject(explain(error, socketPath)));
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function explain(error: Error & { code?: string }, socketPath: string): Error {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return new Error(`no gateway runs here (${socketPath}); name its data directory with --data DIR`);
  }
  if (error.code === 'EACCES') return new Error(`${socketPath} belongs to another user`);
  return error;
}
