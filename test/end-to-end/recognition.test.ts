/** Every way in which an upstream that knows nothing of the gateway shows that somebody signed in. */
import tap, { test } from 'tap';
import { startRecognitionBench, subjectOf } from './recognition-bench.ts';
import { signInCases } from './sign-in-cases.ts';

const bench = await startRecognitionBench();
tap.teardown(() => bench.close());

for (const [title, method, path, sending, reply, subject] of signInCases(bench.origin))
  await test(`${subject === undefined ? 'nobody is signed in' : 'somebody is signed in'} by ${title}`, async (t) => {
    const client = bench.newClient();
    const { status } = await bench.ask(client, [method, path, sending], reply);
    t.ok(status < 400);
    t.equal(await subjectOf(client), subject);
  });
