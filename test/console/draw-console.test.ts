import { test } from 'tap';
import { drawConsole } from '../../gateway/console/draw-console.ts';
import type { ConsoleBackup, ConsoleFacts } from '../../gateway/pipeline/console-facts.ts';

const NOW_MS = Date.UTC(2026, 10, 26, 12);
const HOUR_MS = 3_600_000;

function facts(backup: ConsoleBackup | undefined): ConsoleFacts {
  return {
    nowMs: NOW_MS,
    administrator: { name: 'vera', certificateEndsMs: undefined },
    administrators: [],
    wished: [],
    proposals: [],
    regions: [],
    servers: [],
    tunnels: [],
    pages: [],
    backup,
  };
}

const GOOD: ConsoleBackup = {
  last: { archive: 'zasov-one.age', bytes: 2049, createdMs: NOW_MS - 2 * HOUR_MS },
  isOverdue: false,
  nextMs: NOW_MS + 22 * HOUR_MS,
  failure: undefined,
  isUnderWay: false,
};

await test('an administrator sees the last copy, how old it is and when the next one comes', (t) => {
  const { html } = drawConsole(facts(GOOD), 'en');
  t.match(html, /2 hours ago<\/b><span class="mark">last whole copy<\/span><span class="small">3 KiB/);
  t.match(html, 'zasov-one.age');
  t.match(html, /the next one in 22 hours/);
  t.notMatch(html, /class="mark bad"|role="alert"/);
  t.match(drawConsole(facts({ ...GOOD, isUnderWay: true }), 'en').html, 'one is being made');
  t.match(drawConsole(facts(GOOD), 'ru').html, 'последняя целая копия');
  t.end();
});

await test('what is wrong with the copies stands out, and brings no markup along', (t) => {
  const overdue = drawConsole(facts({ ...GOOD, isOverdue: true }), 'en').html;
  t.match(overdue, '<span class="mark bad">older than it may be</span>');
  const none = drawConsole(facts({ ...GOOD, last: undefined, failure: '<b>disk</b> full' }), 'en').html;
  t.match(none, '<span class="mark bad">There is no whole copy yet.</span>');
  t.match(none, 'role="alert">The last attempt failed: &lt;b&gt;disk&lt;/b&gt; full</p>');
  t.match(drawConsole(facts(undefined), 'en').html, 'The policies ask for none (backup).');
  t.end();
});
