import { test } from 'tap';

import { createGatewayMetrics } from '../../gateway/observability/gateway-metrics.ts';
import { MetricRegistry } from '../../gateway/observability/metric-registry.ts';
import { collectKeys, observeKeys } from '../../gateway/pipeline/key-report.ts';
import { ManualClock } from '../support/manual-clock.ts';

const KEY = { id: 'k1', account: 'acme', subject: 'anna' };

await test('every refusal, rotation and replay of a key is counted, and a replay is told once a minute', async (t) => {
  const registry = new MetricRegistry();
  const metrics = createGatewayMetrics(registry);
  const clock = new ManualClock(Date.UTC(2026, 10, 24));
  const told: string[] = [];
  const alarms: string[] = [];
  const observer = observeKeys(metrics, (level, message) => told.push(`${level}: ${message}`), clock, {
    note: (account, subject, kind, detail) => alarms.push(`${account} ${subject} ${kind} ${detail}`),
  });
  observer.rejected('key_rotated');
  observer.rotated('age', KEY);
  observer.warned({ ...KEY, daysLeft: 7 });
  for (let call = 0; call < 5; call += 1) observer.replayed({ ...KEY, code: 'key_rotated' });
  clock.advance(60_000);
  observer.replayed({ ...KEY, code: 'key_rotated' });
  collectKeys(metrics, {
    states: { active: 3, expiring: 1, rotated: 2, expired: 0, held: 0, revoked: 0 },
    expiringWithinDays: new Map([[7, 1]]),
  });
  const text = await registry.render();
  for (const line of [
    'zasov_api_key_rejected_total{code="key_rotated"} 1',
    'zasov_api_key_rotations_total{reason="age"} 1',
    'zasov_api_key_replays_total 6',
    'zasov_api_keys{state="active"} 3',
    'zasov_api_keys_expiring{days="7"} 1',
  ]) {
    t.ok(text.includes(line), line);
  }
  t.equal(told.filter((line) => line.includes('still being used')).length, 2);
  t.strictSame(alarms, Array(2).fill('acme anna replay k1'), 'its owner is alarmed');
  t.notMatch(told.join('\n'), 'anna', 'nobody is named in the log');
});
