import { test } from 'tap';

import { headerText } from '../../gateway/pipeline/upstream-headers.ts';

void test('a plain name is sent as it is', (t) => {
  for (const name of ['anna', 'anna@acme.test', "o'neil", 'a+b']) t.equal(headerText(name), name);
  t.end();
});

void test('a name that could not stand in a header is percent-encoded and can be read back', (t) => {
  for (const name of ['Анна', 'anna boris', 'a\r\nX-Zasov-Account: other', '50%', 'é', '']) {
    const text = headerText(name);
    t.match(text, /^[\x21-\x7e]*$/, JSON.stringify(name));
    t.equal(decodeURIComponent(text), name);
  }
  t.end();
});
