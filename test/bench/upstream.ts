/**
 * The bench's upstream, a program of its own: a raw socket server that answers every GET with the same 1 KB of JSON
 * and `POST /login` with a 302 and a session cookie. It is no HTTP server to copy: it is as light as Node allows, so
 * that it takes little of the core that it shares with the load generator.
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';

const body = JSON.stringify({
  data: Array.from({ length: 8 }, (_, row) => ({
    id: 1000 + row,
    name: `Customer number ${1000 + row}`,
    stage: 'negotiation',
    phone: '+7 495 000-00-00',
  })),
}).padEnd(1023, ' ');

const okAnswer = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'Server: bench',
    'Date: Thu, 01 Jan 2026 00:00:00 GMT',
    'Content-Type: application/json; charset=utf-8',
    'Cache-Control: private, no-store',
    'Vary: Accept-Encoding',
    `Content-Length: ${body.length + 1}`,
    '',
    `${body}\n`,
  ].join('\r\n'),
  'latin1',
);

let logins = 0;

function loginAnswer(): string {
  logins += 1;
  const id = `${logins}`.padStart(32, '0');
  return (
    'HTTP/1.1 302 Found\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nLocation: /\r\n' +
    `Set-Cookie: CRMSESSID=${id}; Path=/; HttpOnly\r\nContent-Length: 0\r\n\r\n`
  );
}

/** Length of the first whole request in the text, or 0 while some of it is still to come. */
function firstRequestLength(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  const head = text.slice(0, end);
  const declared = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (declared) {
    const length = end + 4 + Number(declared[1]);
    return length <= text.length ? length : 0;
  }
  if (!/\r\ntransfer-encoding:/i.test(head)) return end + 4;
  const last = text.indexOf('0\r\n\r\n', end + 4);
  return last < 0 ? 0 : last + 5;
}

function answer(socket: Socket, pending: string): string {
  let rest = pending;
  for (let length = firstRequestLength(rest); length > 0; length = firstRequestLength(rest)) {
    socket.write(rest.startsWith('POST /login') ? loginAnswer() : okAnswer);
    rest = rest.slice(length);
  }
  return rest;
}

const server = createServer({ noDelay: true }, (socket) => {
  let pending = '';
  socket.on('data', (chunk: Buffer) => {
    pending = answer(socket, pending + chunk.toString('latin1'));
  });
  socket.on('error', () => socket.destroy());
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the upstream has no TCP port');
  process.stdout.write(`${JSON.stringify({ event: 'ready', port: address.port, body: `${body}\n` })}\n`);
});
process.once('SIGTERM', () => process.exit(0));
