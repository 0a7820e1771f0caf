import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

/** Mozilla's server profiles: `modern` is TLS 1.3 alone, `intermediate` adds 1.2 for clients of the last ten years. */
export type TlsProfileName = 'modern' | 'intermediate';

const TLS13_CIPHERS = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/**
 * The guideline also lists finite-field DHE for 1.2. It is left out: every client that can do it can do ECDHE,
 * and its parameters are one more thing that can be weak.
 */
const TLS12_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
];

/** The post-quantum hybrid stands first, so that a recording made today cannot be opened by a later machine. */
const KEY_EXCHANGE_GROUPS = 'X25519MLKEM768:X25519:prime256v1:secp384r1';

/** How long a resumed session may live, in seconds; less than the rotation of the ticket keys. */
const SESSION_TIMEOUT_SECONDS = 7200;

/**
 * Options of a secure context for a profile (Mozilla server side TLS 5.7; RFC 9325). Only authenticated encryption
 * with forward secrecy; no renegotiation (RFC 9325 section 3.5), no compression (section 3.3). The server's order of
 * preference counts, as auditors want it, but a client that puts ChaCha20 first gets it: such a phone has no AES in
 * hardware and knows best what is cheap for it.
 *
 * These options must be given to the default context *and* to each one that an SNI callback returns, since OpenSSL
 * takes the 1.2 cipher list from the context of the chosen name.
 */
export function tlsProfileOptions(profile: TlsProfileName): SecureContextOptions {
  const ciphers = profile === 'modern' ? TLS13_CIPHERS : [...TLS13_CIPHERS, ...TLS12_CIPHERS];
  return {
    minVersion: profile === 'modern' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: ciphers.join(':'),
    ecdhCurve: KEY_EXCHANGE_GROUPS,
    honorCipherOrder: true,
    secureOptions:
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_NO_COMPRESSION |
      constants.SSL_OP_PRIORITIZE_CHACHA,
    sessionTimeout: SESSION_TIMEOUT_SECONDS,
  };
}
