import type { IncomingHttpHeaders } from 'node:http';

/** Headers of an answer that the gateway reads. */
const READ_AS_ONE = ['connection', 'cache-control', 'content-type'];

/**
 * Makes one text of headers that came twice: a list (RFC 9110 section 5.3), or of the content type the first. Types say
 * that these come once, but applications send them twice; PHP's own server does.
 */
export function joinRepeatedHeaders(headers: IncomingHttpHeaders): void {
  for (const name of READ_AS_ONE) {
    const value: string | readonly string[] | undefined = headers[name];
    if (value === undefined || typeof value === 'string') continue;
    headers[name] = name === 'content-type' ? value[0] : value.join(', ');
  }
}
