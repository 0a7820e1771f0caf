import { test } from 'tap';

import { endOfAge } from '../../gateway/api-key/key-age.ts';
import {
  formatKey,
  GENERATION_LIMIT,
  keyId,
  newLineage,
  newSecret,
  parseKey,
  parseKeyId,
} from '../../gateway/api-key/key-format.ts';
import * as fc from '../support/property-based.ts';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const OTHERS = `${DIGITS}_- я`.split('');
const fresh = (generation = 0): string => formatKey('zsv', keyId(newLineage(), generation), newSecret());

await test('a key is prefix, id, 190 bits of secret and a checksum', async (t) => {
  const lineage = newLineage();
  const secret = newSecret();
  t.match(secret, /^[0-9A-Za-z]{32}$/);
  const text = formatKey('zsv', keyId(lineage, 61), secret);
  t.match(text, /^zsv_[0-9A-Za-z]{14}_[0-9A-Za-z]{38}$/);
  t.same(parseKey('zsv', text), { id: `${lineage}0z`, lineage, generation: 61, secret });
  t.same(parseKeyId(keyId(lineage, GENERATION_LIMIT - 1)), { lineage, generation: GENERATION_LIMIT - 1 });
  t.equal(parseKey('crm', text), undefined, 'of another gateway');
  const many = Array.from({ length: 500 }, newSecret);
  t.equal(new Set(many).size, many.length);
  t.equal(new Set(many.join('')).size, DIGITS.length, 'every digit comes');
});

await test('every mistyped, lost, doubled or swapped character is seen without asking anybody', async (t) => {
  for (let round = 0; round < 20; round += 1) {
    const text = fresh(round);
    for (let place = 0; place < text.length; place += 1) {
      const [before, after] = [text.slice(0, place), text.slice(place + 1)];
      for (const other of OTHERS) {
        if (other !== text[place] && parseKey('zsv', before + other + after) !== undefined)
          t.fail(`${other} at ${place} of ${text}`);
      }
      if (parseKey('zsv', before + after) !== undefined) t.fail(`lost at ${place}`);
      if (parseKey('zsv', before + text[place] + text[place] + after) !== undefined)
        t.fail(`doubled at ${place}`);
      const swapped = before + (after[0] ?? '') + (text[place] ?? '') + after.slice(1);
      if (swapped !== text && parseKey('zsv', swapped) !== undefined) t.fail(`swapped at ${place}`);
    }
  }
  t.pass('none was taken for a key');
});

await test('what is no key is none, whatever it is', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      return parseKey('zsv', text) === undefined && parseKeyId(text) === undefined;
    }),
    { numRuns: 20_000 },
  );
  for (const text of ['', 'zsv_', `zsv_${'0'.repeat(14)}_${'0'.repeat(38)}`])
    t.equal(parseKey('zsv', text), undefined);
});

await test('six months are six months of the calendar, in UTC', async (t) => {
  const half = { months: 6 };
  for (const [from, to] of [
    ['2026-08-31T10:20:30.400Z', '2027-02-28T10:20:30.400Z'],
    ['2027-08-31T00:00:00.000Z', '2028-02-29T00:00:00.000Z'],
    ['2026-12-31T23:59:59.999Z', '2027-06-30T23:59:59.999Z'],
    ['2026-01-15T12:00:00.000Z', '2026-07-15T12:00:00.000Z'],
    // Clocks go forward and back in between in most of Europe.
    ['2026-03-29T01:30:00.000Z', '2026-09-29T01:30:00.000Z'],
    ['2026-10-25T00:30:00.000Z', '2027-04-25T00:30:00.000Z'],
  ] as const) {
    t.equal(new Date(endOfAge(Date.parse(from), half)).toISOString(), to, from);
  }
  t.equal(endOfAge(1000, { ms: 500 }), 1500);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 1, max: 6 }), (createdMs, months) => {
      const days = (endOfAge(createdMs, { months }) - createdMs) / 86_400_000;
      return days >= months * 30 - 3 && days <= months * 31 && Number.isInteger(days);
    }),
  );
});
