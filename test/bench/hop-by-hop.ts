const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Whether a header (lower-case name) belongs to one hop and is not forwarded: RFC 9110 section 7.6.1. */
export function isHopByHop(name: string): boolean {
  return hopByHop.has(name);
}
