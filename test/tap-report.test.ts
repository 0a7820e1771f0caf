import { test } from 'tap';
import { readTap } from './support/tap-report.ts';

const nested = `TAP version 14
ok 1 - top
# Subtest: outer
    ok 1 - inside
    # Subtest: inner
        not ok 1 - broken
          ---
          diff: |
            -2
            +1
          ...
        1..1
    not ok 2 - inner # time=1.5ms
    1..2
not ok 2 - outer # time=2ms
ok 3 - later # SKIP no reason
1..3
`;

await test('assertions are counted once, however deep their subtests', async (t) => {
  const { passed, failed, skipped } = readTap(nested, 1);
  t.strictSame({ passed, failed, skipped }, { passed: 2, failed: 1, skipped: 1 });
});

await test('a failure is told with its path of titles and its diagnosis', async (t) => {
  t.strictSame(readTap(nested, 1).failures, ['not ok: outer > inner > broken\n  diff: |\n    -2\n    +1']);
});

await test('a file that ran no test has failed, even with exit code 0', async (t) => {
  t.equal(readTap('TAP version 14\n1..0 # no tests found\n', 0).failed, 1);
});

await test('a crash after passing assertions is a failure', async (t) => {
  t.match(readTap('ok 1 - fine\n', 7), { passed: 1, failed: 1, failures: [/exit code 7/] });
  t.match(readTap('ok 1 - fine\n', null), { passed: 1, failed: 1, failures: [/ended by a signal/] });
});
