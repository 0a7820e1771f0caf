import { get, post, type WireCase } from './wire-case.ts';

/** Expect (RFC 9110 section 10.1.1): the gateway answers it, and the upstream never sees it. */
export const expectCases: readonly WireCase[] = [
  {
    section: 'RFC 9110 10.1.1',
    title: '100-continue is answered by the gateway',
    bytes: post(['Expect: 100-continue', 'Content-Length: 5'], 'hello'),
    answers: [100, 200],
    closes: false,
    arrives: [{ line: 'POST /case', body: 'hello', headers: { expect: [] } }],
  },
  {
    section: 'RFC 9110 10.1.1',
    title: '100-continue in other letters',
    bytes: post(['expect: 100-CONTINUE', 'Content-Length: 5'], 'hello'),
    answers: [100, 200],
    closes: false,
    arrives: [{ line: 'POST /case', body: 'hello', headers: { expect: [] } }],
  },
  {
    section: 'RFC 9110 10.1.1',
    title: '100-continue without a body is not waited for',
    bytes: get('Expect: 100-continue'),
    answers: [200],
    closes: true,
    arrives: [{ line: 'GET /case', headers: { expect: [] } }],
  },
  ...['100-continue, x', '100-continue=1'].map((value) => ({
    section: 'RFC 9110 10.1.1',
    title: `an expectation that nobody knows beside 100-continue: ${value}`,
    bytes: post([`Expect: ${value}`, 'Content-Length: 5'], 'hello'),
    answers: [100, 200],
    closes: false,
    arrives: [{ line: 'POST /case', body: 'hello', headers: { expect: [] } }],
  })),
  ...['200-ok', 'x100-continue'].map((value) => ({
    section: 'RFC 9110 10.1.1',
    title: `an expectation that nobody can meet: ${value}`,
    bytes: post([`Expect: ${value}`, 'Content-Length: 5'], 'hello'),
    answers: [417],
    closes: true,
    arrives: [],
  })),
];
