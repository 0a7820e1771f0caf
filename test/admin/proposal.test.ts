import { test } from 'tap';

import { makePayload } from '../../gateway/admin/proposal.ts';

void test('the id of a proposal can be typed into a command: none begins with a dash', async (t) => {
  const under = { gateway: 'main', list: 1, expires_ms: 1 };
  const ids = Array.from({ length: 2000 }, () => makePayload({ kind: 'restore', parameters: {} }, under).id);
  t.same(
    ids.filter((id) => id.startsWith('-')),
    [],
  );
  t.equal(new Set(ids).size, ids.length);
  t.ok(ids.every((id) => /^[\w-]{22}$/.test(id)));
});
