import { test } from 'tap';
import { canonicalJson, type JsonValue } from '../../gateway/core/canonical-json.ts';
import * as fc from '../support/property-based.ts';

void test('the example of RFC 8785 section 3.2 has the form of section 3.2.3', (t) => {
  const value = JSON.parse(
    String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],` +
      String.raw`"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
  ) as JsonValue;
  t.equal(
    canonicalJson(value),
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
      String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
  t.end();
});

void test('members are sorted by UTF-16 code units', (t) => {
  const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6'];
  const value = Object.fromEntries(names.map((name) => [name, 1]));
  const order = Object.keys(JSON.parse(canonicalJson(value)) as object);
  // "1" is an index for ECMAScript, so an object always lists it first; the text has it in its place.
  t.equal(canonicalJson(value).indexOf('"1"') > canonicalJson(value).indexOf(String.raw`"\r"`), true);
  t.strictSame(order.slice(1), ['\r', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33']);
  t.end();
});

void test('equal values have one form, whatever the order of their members, and it means the same', (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = canonicalJson(value);
      const shuffled = JSON.parse(JSON.stringify(value), (_name, member: unknown) =>
        member !== null && typeof member === 'object' && !Array.isArray(member)
          ? Object.fromEntries(Object.entries(member).toReversed())
          : member,
      ) as JsonValue;
      t.equal(canonicalJson(shuffled), text);
      t.strictSame(JSON.parse(text), JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 300 },
  );
  t.end();
});

void test('what has no canonical form is refused', (t) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '\ud800', { a: ['\udc00'] }])
    t.throws(() => canonicalJson(value), RangeError);
  t.equal(canonicalJson({ a: undefined, b: -0 }), '{"b":0}');
  t.end();
});
