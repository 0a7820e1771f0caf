import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import tap from 'tap';
import { startCrmNode } from '../../gateway/demo/crm/crm-node.ts';
import { closingFrame, OPCODE, serverFrame } from '../../gateway/demo/crm/websocket-frame.ts';
import { CrmVisitor } from './crm-visitor.ts';

const node = await startCrmNode({ region: 'msk', port: 0, peers: [], secret: 'test' });
tap.teardown(() => node.close());
const anna = new CrmVisitor(node.url);
await anna.signIn('anna');
const csrf = await anna.token('/profile');
const change = async (title: string): Promise<void> => {
  await anna.post('/leads/101', { csrf, title, stage: 'won', amount: '1', currency: 'EUR' });
};

await tap.test('a WebSocket of a session hears the changes of its account, and only those', async (t) => {
  const [ours, theirs] = [await connect(anna), await connect(await neva())];
  await change('Heard over the socket');
  t.match(await ours.next(), { type: 'hello', account: 'acme' });
  t.match(await ours.next(), { type: 'change', entity: 'lead', id: '101', action: 'updated', by: 'anna' });
  t.match(await theirs.next(), { type: 'hello', account: 'neva' });
  theirs.send(OPCODE.text, 'still nothing?');
  t.match(await theirs.next(), { type: 'echo', text: 'still nothing?' }, 'no change came between');
  ours.socket.destroy();
  theirs.socket.destroy();
});

await tap.test('messages may come in fragments with a ping between, and a close is answered', async (t) => {
  const live = await connect(anna);
  await live.next();
  live.send(OPCODE.text, 'при', false);
  live.send(OPCODE.ping, 'are you there');
  live.send(OPCODE.continuation, 'вет', true);
  t.strictSame(await live.nextFrame(), { opcode: OPCODE.pong, payload: 'are you there' });
  t.match(await live.next(), { type: 'echo', text: 'привет' });
  live.send(OPCODE.text, 'x'.repeat(60_000));
  t.match(await live.next(), { type: 'echo', text: 'x'.repeat(60_000) });
  live.send(OPCODE.close, '\u0003\u00e8');
  t.match(await live.nextFrame(), { opcode: OPCODE.close });
  await once(live.socket, 'end');
});

await tap.test('a breach of the protocol is answered with its close code', async (t) => {
  const unmasked = serverFrame(OPCODE.text, Buffer.from('x'));
  const tooLarge = Buffer.from([0x81, 0xff]);
  const cases = [
    [unmasked, 1002],
    [tooLarge, 1009],
    [masked(OPCODE.binary, 'x'), 1003],
  ] as const;
  for (const [bytes, code] of cases) {
    const live = await connect(anna);
    await live.next();
    live.socket.write(bytes);
    t.strictSame(await live.nextFrame(), {
      opcode: OPCODE.close,
      payload: closingFrame(code, 'protocol error').toString('latin1', 2),
    });
  }
});

await tap.test('upgrades without a session, elsewhere or of another version are refused', async (t) => {
  t.equal(await upgradeStatus(new CrmVisitor(node.url), '/live/ws'), 401);
  t.equal(await upgradeStatus(anna, '/leads'), 404);
  t.equal(await upgradeStatus(anna, '/live/ws', { 'sec-websocket-version': '8' }), 426);
});

await tap.test('an event stream hears the same', async (t) => {
  const call = request(new URL('/live/events', node.url), { headers: anna.headers() }).end();
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  t.match(answer.headers['content-type'], 'text/event-stream');
  const stream = textOf(answer);
  t.match((await stream.next()).value, 'event: hello');
  await change('Heard over the stream');
  const value = (await stream.next()).value ?? '';
  t.match(value, /^event: change\n/);
  t.match(JSON.parse(value.split('data: ')[1] ?? ''), { title: 'Heard over the stream', action: 'updated' });
  answer.destroy();
});

await tap.test('a node that closes ends its feeds with a close frame', async (t) => {
  const own = await startCrmNode({ region: 'spb', port: 0, peers: [], secret: 'test' });
  const visitor = new CrmVisitor(own.url);
  await visitor.signIn('anna');
  const live = await connect(visitor);
  await live.next();
  const frame = live.nextFrame();
  await own.close();
  t.match(await frame, { opcode: OPCODE.close });
});

async function neva(): Promise<CrmVisitor> {
  const visitor = new CrmVisitor(node.url, 'neva');
  await visitor.signIn('boris');
  return visitor;
}

async function* textOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  for await (const chunk of stream) yield chunk.toString();
}

function masked(opcode: number, text: string, isFinal = true): Buffer {
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  const length = payload.length < 126 ? Buffer.from([0x80 | payload.length]) : Buffer.alloc(3, 0xfe);
  if (payload.length >= 126) length.writeUInt16BE(payload.length, 1);
  const body = payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([Buffer.from([(isFinal ? 0x80 : 0) | opcode]), length, mask, body]);
}

function startUpgrade(visitor: CrmVisitor, path: string, key: string, extra: Record<string, string> = {}) {
  const headers = {
    ...visitor.headers(),
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': key,
  };
  return request(new URL(path, visitor.url), {
    headers: { ...headers, 'sec-websocket-version': '13', ...extra },
  }).end();
}

async function upgradeStatus(
  visitor: CrmVisitor,
  path: string,
  extra: Record<string, string> = {},
): Promise<number> {
  const [answer] = (await once(startUpgrade(visitor, path, 'a2V5', extra), 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode ?? 0;
}

interface LiveClient {
  readonly socket: Duplex;
  /** The next text message, as JSON. */
  next(): Promise<unknown>;
  nextFrame(): Promise<{ opcode: number; payload: string }>;
  send(opcode: number, text: string, isFinal?: boolean): void;
}

/** Opens the feed and checks the handshake (RFC 6455 section 4.1). */
async function connect(visitor: CrmVisitor): Promise<LiveClient> {
  const key = randomBytes(16).toString('base64');
  const call = startUpgrade(visitor, '/live/ws', key);
  const [answer, socket, head] = (await once(call, 'upgrade')) as [IncomingMessage, Duplex, Buffer];
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  if (answer.headers['sec-websocket-accept'] !== accept) throw new Error('wrong handshake');
  if (head.length > 0) socket.unshift(head);
  const frames = framesOf(socket);
  const nextFrame = async (): Promise<{ opcode: number; payload: string }> => {
    const { value } = await frames.next();
    if (value === undefined) throw new Error('the socket ended');
    return {
      opcode: value.opcode,
      payload: value.payload.toString(value.opcode === OPCODE.close ? 'latin1' : 'utf8'),
    };
  };
  return {
    socket,
    nextFrame,
    next: async () => JSON.parse((await nextFrame()).payload) as unknown,
    send: (opcode, text, isFinal = true) => void socket.write(masked(opcode, text, isFinal)),
  };
}

async function* framesOf(socket: Duplex): AsyncGenerator<{ opcode: number; payload: Buffer }, void> {
  let held = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    held = Buffer.concat([held, chunk as Buffer]);
    for (;;) {
      const marker = held[1] ?? 0;
      const start = marker === 126 ? 4 : 2;
      if (held.length < start) break;
      const end = start + (marker === 126 ? held.readUInt16BE(2) : marker);
      if (held.length < end) break;
      yield { opcode: (held[0] ?? 0) & 0x0f, payload: held.subarray(start, end) };
      held = held.subarray(end);
    }
  }
}
