import { test } from 'tap';
import { parseByteSize } from '../../gateway/core/byte-size.ts';
import { parseDuration, parseMonths } from '../../gateway/core/duration.ts';

const durations: readonly [string, number | undefined][] = [
  ['500ms', 500],
  ['30s', 30_000],
  ['15m', 900_000],
  ['12h', 43_200_000],
  ['30d', 2_592_000_000],
  ['2w', 1_209_600_000],
  ['0s', 0],
  ['6mo', undefined],
  ['', undefined],
  ['30', undefined],
  ['s', undefined],
  ['1.5s', undefined],
  ['-1s', undefined],
  ['+1s', undefined],
  ['1 s', undefined],
  ['1S', undefined],
  ['1s\n', undefined],
  ['1s1s', undefined],
  ['1e3s', undefined],
  ['9999999999s', undefined],
];

await test('a duration is a whole number and one unit, or nothing', async (t) => {
  for (const [text, milliseconds] of durations)
    t.equal(parseDuration(text), milliseconds, JSON.stringify(text));
});

await test('months are read apart from durations, because they are no fixed time', async (t) => {
  t.equal(parseMonths('6mo'), 6);
  for (const text of ['6m', 'mo', '1.5mo', '-1mo', '6mo ', '9999mo'])
    t.equal(parseMonths(text), undefined, text);
});

const sizes: readonly [string, number | undefined][] = [
  ['512B', 512],
  ['1KB', 1000],
  ['1KiB', 1024],
  ['64KiB', 65_536],
  ['64MB', 64_000_000],
  ['64MiB', 67_108_864],
  ['2GiB', 2_147_483_648],
  ['2GB', 2_000_000_000],
  ['1TiB', 1_099_511_627_776],
  ['64', undefined],
  ['64kb', undefined],
  ['64 MiB', undefined],
  ['MiB', undefined],
  ['1.5GiB', undefined],
  ['-1B', undefined],
  ['1B\n', undefined],
];

await test('a size is a whole number and one unit, or nothing', async (t) => {
  for (const [text, bytes] of sizes) t.equal(parseByteSize(text), bytes, JSON.stringify(text));
});
