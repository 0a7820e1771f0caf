/** Request targets that may be meant to lead to `/admin`, as bytes (Latin-1 text). */
export const ADMIN_TARGETS = [
  // As it is.
  '/admin',
  '/admin/',
  '/admin/users',
  '/admin?x=1',
  '/admin/?/login',
  // Case.
  '/Admin',
  '/ADMIN',
  '/aDmIn/users',
  // Encoding.
  '/%61dmin',
  '/%61%64%6d%69%6e',
  '/adm%69n/users',
  '/%41dmin',
  '/admin%2fusers',
  '/admin%2Fusers',
  '/%2fadmin',
  '/login%2f..%2fadmin',
  // Twice, three times.
  '/%2561dmin',
  '/%25%36%31dmin',
  '/admin%252fusers',
  '/%252e%252e/admin',
  '/login/%252e%252e/admin',
  '/%252561dmin',
  // Dots.
  '/./admin',
  '/login/../admin',
  '/login/%2e%2e/admin',
  '/login/.%2e/admin',
  '/login/..;/admin',
  '/login/..;x=1/admin',
  '/admin/.',
  '/admin/../admin',
  '/admin.',
  '/admin./users',
  '/admin%2e',
  '/admin...',
  // Slashes.
  '//admin',
  '///admin',
  '/login//admin',
  '/\\admin',
  '\\admin',
  '/login\\..\\admin',
  '/%5cadmin',
  '/login/..%5cadmin',
  '/admin//users',
  // Parameters.
  '/admin;x=1',
  '/admin;/users',
  '/;/admin',
  '/admin;.css',
  '/admin;jsessionid=1/users',
  '/admin%3bx',
  // Padding.
  '/admin%20',
  '/admin%20/users',
  '/admin+',
  '/admin%09',
  '/admin%0a',
  '/admin%00',
  '/admin%00.css',
  '/admin%c2%a0',
  '/admin%e2%80%8b',
  '/ad%c2%admin',
  '/admin::$DATA',
  '/admin::$INDEX_ALLOCATION/users',
  // Overlong and other bytes that are no UTF-8; IIS's own encoding.
  '/%c1%a1dmin',
  '/%c0%afadmin',
  '/login/%c0%ae%c0%ae/admin',
  '/login/..%c0%afadmin',
  '/%e0%81%a1dmin',
  '/%u0061dmin',
  '/login/..%u2215admin',
  '/\u00e1dmin',
  '/\u00ff/admin',
  // Letters that become others.
  '/%ef%bd%81dmin',
  '/%ef%bd%81%ef%bd%84%ef%bd%8d%ef%bd%89%ef%bd%8e',
  '/adm%c4%b1n',
  '/%e1%b5%83dmin',
  // Query and fragment.
  '/login#/../admin',
  '/login#/admin',
  '/%23/../admin',
  '/admin#',
  '/admin%3f',
  '/login?/../../admin#',
  // Absolute and other forms.
  'https://localhost/admin',
  'HTTPS://LOCALHOST/admin',
  'http://localhost/admin',
  'https://localhost/login/../admin',
  'https://localhost\\admin',
  'localhost/admin',
  'admin',
  '?/admin',
  '*/admin',
];

/**
 * How the most forgiving of upstreams may read a target: an oracle of its own, that knows nothing of the gateway's.
 *
 * @returns whether one of its readings is the administration.
 */
export function leadsToAdmin(target: string): boolean {
  const readings = new Set([target]);
  for (const reading of readings) {
    if (readings.size > 500) break;
    const path = reading.split(/[?#]/, 1)[0] ?? '';
    for (const change of [
      (text: string) =>
        text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
      (text: string) => Buffer.from(text, 'latin1').toString('utf8'),
      (text: string) => text.normalize('NFKC'),
      (text: string) => text.replaceAll(/[\u00ad\u200b-\u200f\ufeff]/g, ''),
      (text: string) => text.toUpperCase().toLowerCase(),
      (text: string) => text.replaceAll('\\', '/'),
      (text: string) => text.replaceAll(/\/{2,}/g, '/'),
      (text: string) => text.replaceAll(/;[^/]*/g, ''),
      (text: string) => text.replaceAll(/[. +\s\0\u00a0]+(?=\/|$)/g, ''),
      (text: string) => text.replaceAll(/::\$[^/]*/g, ''),
      (text: string) => text.split('\0', 1)[0] ?? '',
      (text: string) => new URL(text.startsWith('/') ? text : `/${text}`, 'http://x').pathname,
    ])
      try {
        readings.add(change(path));
      } catch {
        // Not even this reader makes anything of it.
      }
  }
  return [...readings].some((path) => path === '/admin' || path.startsWith('/admin/'));
}
