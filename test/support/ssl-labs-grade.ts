/** The grade of Qualys' "SSL Server Rating Guide" (2009q), worked out from what testssl.sh 3.0 found, which gives none. */

/** One line of a report of testssl.sh. */
export interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** Protocols from worst to best with their points (guide, table 3). */
const PROTOCOL_POINTS: readonly (readonly [id: string, points: number])[] = [
  ['SSLv2', 0],
  ['SSLv3', 80],
  ['TLS1', 90],
  ['TLS1_1', 95],
  ['TLS1_2', 100],
  ['TLS1_3', 100],
];
/** Strength of an elliptic curve in bits of RSA (NIST SP 800-57 part 1, table 2). */
const RSA_BITS_OF_CURVE: readonly (readonly [curveBits: number, rsaBits: number])[] = [
  [512, 15_360],
  [384, 7680],
  [256, 3072],
  [224, 2048],
];
/** Weaknesses that the guide answers with F. */
const FATAL = [
  'heartbleed',
  'CCS',
  'ticketbleed',
  'ROBOT',
  'secure_renego',
  'secure_client_renego',
  'POODLE_SSL',
  'FREAK',
  'DROWN',
  'LOGJAM',
];

/**
 * Grades a server: A+ to F, T when its chain is not trusted, M when its name does not match. Every reason for less
 * than A+ is told.
 */
export function sslLabsGrade(findings: readonly Finding[]): {
  grade: string;
  score: number;
  reasons: string[];
} {
  const byId = new Map(findings.map((each) => [each.id, each]));
  const text = (id: string): string => byId.get(id)?.finding ?? '';
  const isGood = (id: string): boolean => byId.get(id)?.severity === 'OK';
  // What cannot be on a server is not always asked for.
  const isBad = (id: string): boolean => byId.has(id) && !isGood(id);
  const offers = (id: string): boolean => text(id).startsWith('offered');
  const protocols = PROTOCOL_POINTS.filter(([id]) => offers(id)).map(([, points]) => points);
  const suites = text('PFS_ciphers')
    .split(' ')
    .filter((name) => name !== '');
  const protocolScore = middle(protocols);
  const keyScore = keyPoints(text('cert_keySize'));
  const cipherScore = middle(suites.map(cipherPoints));
  const score = 0.3 * protocolScore + 0.3 * keyScore + 0.4 * cipherScore;
  const reasons: string[] = [];
  let worst = 0;
  const cap = (grade: string, isDue: boolean, reason: string): void => {
    if (!isDue) return;
    worst = Math.max(worst, GRADES.indexOf(grade));
    reasons.push(`${grade}: ${reason}`);
  };
  cap(gradeOf(score), gradeOf(score) !== 'A+', `score ${score}`);
  cap('A', !isGood('HSTS_time'), 'no long HSTS');
  cap('A', !isGood('fallback_SCSV'), 'downgrades are not noticed');
  cap('A-', !offers('TLS1_3'), 'no TLS 1.3');
  cap('B', !offers('PFS'), 'no forward secrecy');
  cap(
    'B',
    suites.every((name) => !/GCM|CHACHA20/.test(name)),
    'no AEAD suite',
  );
  cap('B', offers('TLS1') || offers('TLS1_1'), 'TLS 1.0 or 1.1');
  cap('B', isBad('RC4'), 'RC4');
  cap('C', isBad('CRIME_TLS') || isBad('SWEET32'), 'compression, or 64-bit blocks');
  cap('C', !offers('TLS1_2') && !offers('TLS1_3'), 'nothing newer than TLS 1.1');
  for (const id of FATAL) cap('F', isBad(id), id);
  cap('F', offers('SSLv2') || !isGood('cipherlist_NULL') || !isGood('cipherlist_aNULL'), 'insecure suites');
  cap('T', !isGood('cert_chain_of_trust'), 'the chain is not trusted');
  cap('M', !isGood('cert_trust'), 'the name does not match');
  return { grade: GRADES[worst] ?? 'F', score, reasons };
}

const GRADES = ['A+', 'A', 'A-', 'B', 'C', 'D', 'E', 'F', 'T', 'M'];

/** The guide's table 2; 80 points and more are an A, and an A without any objection becomes A+. */
function gradeOf(score: number): string {
  if (score >= 80) return 'A+';
  if (score >= 65) return 'B';
  if (score >= 50) return 'C';
  return score >= 35 ? 'D' : score >= 20 ? 'E' : 'F';
}

/** Halfway between the best and the worst; nothing at all is worth nothing. */
function middle(points: readonly number[]): number {
  return points.length === 0 ? 0 : (Math.max(...points) + Math.min(...points)) / 2;
}

/** Table 4, of the weakest of the certificate's key and the exchange, which is X25519 or stronger wherever EC is. */
function keyPoints(keySize: string): number {
  const [, kind = '', digits = '0'] = /^(EC|RSA|\w+) (\d+) bits/.exec(keySize) ?? [];
  const bits = Number(digits);
  const rsaBits = kind === 'EC' ? (RSA_BITS_OF_CURVE.find(([curve]) => bits >= curve)?.[1] ?? 0) : bits;
  const exchanged = Math.min(rsaBits, 3072);
  if (exchanged >= 2048) return 90;
  return exchanged >= 1024 ? 80 : exchanged >= 512 ? 40 : 0;
}

/** Table 5. */
function cipherPoints(suite: string): number {
  if (/AES_?256|CHACHA20/.test(suite)) return 100;
  return /AES_?128/.test(suite) ? 80 : 20;
}
