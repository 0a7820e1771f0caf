import tap from 'tap';
import { readRange } from '../../gateway/demo/crm/byte-range.ts';

await tap.test('one range is read, anything else is passed over', async (t) => {
  const cases = [
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=2-5', { start: 2, end: 5 }],
    ['bytes=5-', { start: 5, end: 9 }],
    ['bytes=5-99', { start: 5, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-99', { start: 0, end: 9 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-2', undefined],
    ['bytes=0-1,3-4', undefined],
    ['bytes=-', undefined],
    ['lines=1-2', undefined],
    [undefined, undefined],
  ] as const;
  for (const [header, expected] of cases)
    t.strictSame(readRange(header, 10), expected, header ?? 'no header');
  t.equal(readRange('bytes=-1', 0), 'unsatisfiable');
});
