/** Writes lines to standard error as one of several processes: `log-writer.ts LINES BYTES`. */
import { bufferedDestination } from '../../gateway/observability/log-destination.ts';

const [, , lines, bytes] = process.argv;
const destination = bufferedDestination(undefined, true);
const filling = 'x'.repeat(Number(bytes));
for (let count = 0; count < Number(lines); count += 1) {
  destination.write(`${JSON.stringify({ pid: process.pid, count, filling })}\n`);
  if (count % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
}
