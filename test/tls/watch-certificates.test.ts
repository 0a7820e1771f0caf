import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { watchCertificates } from '../../gateway/tls/watch-certificates.ts';

await test('a certificate or key that is replaced, written or removed is noticed, of a thousand files too', async (t) => {
  const folder = t.testdir({});
  const file = (name: string): string => join(folder, name);
  const files = Array.from({ length: 500 }, (_, index) => [
    file(`${index}.pem`),
    file(`${index}.key`),
  ]).flat();
  for (const name of files) writeFileSync(name, 'first');
  let [calls, wake] = [0, (): void => undefined];
  const stop = watchCertificates(
    () => files,
    () => {
      calls += 1;
      wake();
    },
    5,
  );
  const keepAlive = setInterval(() => undefined, 1000);
  t.teardown(() => {
    stop();
    clearInterval(keepAlive);
  });
  const called = async (change: () => void): Promise<void> => {
    const next = new Promise<void>((resolve) => (wake = resolve));
    change();
    await next;
  };
  // All of them have been seen once before anything counts as a change.
  await called(() => {
    const seen = setInterval(() => writeFileSync(file('499.key'), `${performance.now()}`), 20);
    wake = ((before) => () => {
      clearInterval(seen);
      before();
    })(wake);
  });
  const before = calls;
  await called(() => {
    writeFileSync(file('new'), 'another certificate');
    renameSync(file('new'), file('0.pem'));
  });
  await called(() => writeFileSync(file('250.key'), 'another key'));
  await called(() => rmSync(file('7.pem')));
  t.ok(calls >= before + 3);
});
