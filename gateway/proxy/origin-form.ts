const ABSOLUTE = /^https:\/\/([^/?#]*)(.*)$/is;

/**
 * Turns a target in absolute form into the origin form that everything else reads (RFC 9112 section 3.2.2), if it
 * names the very host that `Host` does; two different hosts in one request would mean two things. A target in any other
 * form stays as it is, for the guard to refuse.
 */
export function originForm(target: string, authority: string): string {
  if (target.charCodeAt(0) === 0x2f) return target;
  const [, host, rest] = ABSOLUTE.exec(target) ?? [];
  if (host === undefined || rest === undefined || host.toLowerCase() !== authority.toLowerCase())
    return target;
  return rest.startsWith('/') ? rest : `/${rest}`;
}
