import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** One request exactly as it arrived. */
interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, as sent: order, case and repetitions kept. */
  readonly rawHeaders: readonly string[];
  /** All values of a header, by its name in any case. */
  values(name: string): string[];
  readonly body: Buffer;
}

/** An application that answers as told and remembers what it was asked. */
export interface RecordingUpstream {
  readonly origin: string;
  readonly requests: RecordedRequest[];
  close(): Promise<void>;
}

/** Called when a request's body has arrived; must end the answer. */
export type AnswerRequest = (
  request: RecordedRequest,
  response: ServerResponse,
  incoming: IncomingMessage,
) => void;

/** Starts an HTTP server on a free port of loopback. Health checks (`/healthz`) are answered and not recorded. */
export async function startRecordingUpstream(
  answer: AnswerRequest = (_request, response) => response.end('ok'),
): Promise<RecordingUpstream> {
  const requests: RecordedRequest[] = [];
  const server = createHttpServer((incoming, response) => {
    if (incoming.url === '/healthz') {
      response.end('ok');
      return;
    }
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request = record(incoming, Buffer.concat(chunks));
      requests.push(request);
      answer(request, response, incoming);
    });
  });
  const origin = await listen(server);
  return {
    origin,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An upstream below HTTP: the bytes of every connection, and whatever it is told to write back. */
export interface RawUpstream {
  readonly origin: string;
  /** What each connection brought, in order of connecting. */
  readonly received: Buffer[];
  /** How many connections are open that brought this text. */
  openConnections(text: string): number;
  close(): Promise<void>;
}

/**
 * Starts a TCP server that records bytes.
 *
 * @param onData told of everything a connection brought so far; may write to it or destroy it.
 */
export async function startRawUpstream(
  onData: (socket: Socket, soFar: Buffer) => void,
): Promise<RawUpstream> {
  const received: Buffer[] = [];
  const sockets = new Map<Socket, number>();
  const server = createServer((socket) => {
    const index = received.push(Buffer.alloc(0)) - 1;
    sockets.set(socket, index);
    // A peer that resets is part of what is tested.
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const soFar = Buffer.concat([received[index] ?? Buffer.alloc(0), chunk]);
      received[index] = soFar;
      onData(socket, soFar);
    });
  });
  const origin = await listen(server);
  return {
    origin,
    received,
    openConnections: (text) =>
      [...sockets.values()].filter((index) => received[index]?.includes(text)).length,
    close: async () => {
      for (const socket of sockets.keys()) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function record(incoming: IncomingMessage, body: Buffer): RecordedRequest {
  const { rawHeaders } = incoming;
  return {
    method: incoming.method ?? '',
    url: incoming.url ?? '',
    rawHeaders: [...rawHeaders],
    values: (name) =>
      rawHeaders.filter(
        (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name.toLowerCase(),
      ),
    body,
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
