import { test } from 'tap';
import { foldName } from '../../gateway/core/fold-name.ts';

await test('spellings that applications take for one person fold to one name', async (t) => {
  for (const spelling of ['olga', 'Olga', ' OLGA ', '\u{FF2F}lga', 'olga\u{A0}'])
    t.equal(foldName(spelling), 'olga');
  t.equal(foldName('Ёлкина'), foldName('Е\u{308}лкина'), 'composed or not');
});

await test('different names stay different', async (t) => {
  const names = ['olga', 'olga2', 'ol ga', '\u{43E}lga', 'ólga', ''];
  t.equal(new Set(names.map(foldName)).size, names.length);
});
