/**
 * There is no container engine where the tests run, so this holds the image's promises at the level of its recipe.
 */
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'tap';

/** Instructions with their continuation lines joined and comments dropped. */
const instructions = readFileSync('Dockerfile', 'utf8')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line.trim() !== '');
const lastStage = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));

const find = (keyword: string): string =>
  lastStage.find((line) => line.startsWith(`${keyword} `))?.slice(keyword.length + 1) ?? '';

await test('every stage starts from the slim image of Node 26', async (t) => {
  const bases = instructions.filter((line) => line.startsWith('FROM '));
  t.ok(bases.length > 0);
  for (const base of bases) t.match(base, /^FROM node:26-slim\b/);
});

await test('no development dependency and no install script gets into the image', async (t) => {
  const installs = instructions.filter((line) => /\bnpm (?:ci|i|install)\b/.test(line));
  t.strictSame(installs, ['RUN npm ci --omit=dev --omit=optional --ignore-scripts']);
  t.notOk(
    instructions.some((line) => /^(?:COPY|ADD) \.\s/.test(line)),
    'the checkout is not copied whole',
  );
});

await test('the process is not root and owns its data directory only', async (t) => {
  t.equal(find('USER'), 'node');
  t.equal(find('VOLUME'), '/var/lib/zasov');
  const user = lastStage.findIndex((line) => line.startsWith('USER '));
  t.notOk(
    lastStage.slice(user).some((line) => /^(?:RUN|COPY|ADD) /.test(line)),
    'nothing is made as that user',
  );
  t.notOk(lastStage.some((line) => line.includes('--chown')));
});

await test('everything that is copied is there', async (t) => {
  const copied = instructions
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    .flatMap((line) => line.split(/\s+/).slice(1, -1));
  t.ok(copied.length > 3);
  for (const path of copied) t.ok(existsSync(path), path);
});

await test('it is healthy when ready, and says so without curl', async (t) => {
  t.match(find('HEALTHCHECK'), /CMD \["node", .*127\.0\.0\.1:9464\/readyz/);
});

await test('it runs zasov serve on the listeners of the contract', async (t) => {
  t.strictSame(JSON.parse(find('ENTRYPOINT')), ['zasov']);
  t.match(JSON.parse(find('CMD')), ['serve', '--policies', '/zasov/policies', '--data', '/var/lib/zasov']);
  t.equal(find('EXPOSE'), '8443 8444 9464');
});
