import { array, assert, boolean, constantFrom, integer, property, tuple } from '../support/property-based.ts';
import { test } from 'tap';

import { closeFrame, FrameTracker } from '../../gateway/proxy/frame-tracker.ts';

function frame(length: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0;
  const key = masked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0);
  let head: Buffer;
  if (length < 126) head = Buffer.from([0x81, mask | length]);
  else if (length < 65_536) {
    head = Buffer.from([0x82, mask | 126, 0, 0]);
    head.writeUInt16BE(length, 2);
  } else {
    head = Buffer.from([0x82, mask | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, key, Buffer.alloc(length, 0x81)]);
}

void test('frame boundaries are found however the bytes are cut', (t) => {
  const frames = array(tuple(constantFrom(0, 1, 125, 126, 300, 65_535, 65_536), boolean()), {
    minLength: 1,
    maxLength: 5,
  });
  assert(
    property(
      frames,
      array(integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 30 }),
      (list, cuts) => {
        const ends = new Set<number>([0]);
        let total = 0;
        for (const [length, masked] of list) ends.add((total += frame(length, masked).length));
        const bytes = Buffer.concat(list.map(([length, masked]) => frame(length, masked)));
        const tracker = new FrameTracker();
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const piece = bytes.subarray(at, at + (cuts[i % cuts.length] ?? 1));
          if (tracker.follow(piece, false) !== piece.length) return false;
          at += piece.length;
          if (tracker.isAtBoundary !== ends.has(at)) return false;
        }
        return tracker.isAtBoundary;
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

void test('asked to stop, it stops behind the frame that is under way', (t) => {
  const tracker = new FrameTracker();
  const two = Buffer.concat([frame(10, false), frame(20, false)]);
  t.equal(tracker.follow(two.subarray(0, 5), false), 5);
  t.equal(tracker.follow(two.subarray(5), true), 7, 'the rest of the first frame');
  t.equal(tracker.isAtBoundary, true);
  t.end();
});

void test('a close frame carries code and reason (RFC 6455 section 5.5.1)', (t) => {
  const bytes = closeFrame(4401, 'over');
  t.same([...bytes.subarray(0, 2)], [0x88, 6]);
  t.equal(bytes.readUInt16BE(2), 4401);
  t.equal(bytes.toString('utf8', 4), 'over');
  t.end();
});
