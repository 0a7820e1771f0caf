import { createECDH, createPrivateKey, hash, sign } from 'node:crypto';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from './keyring.ts';

/** Order of the P-256 group (SP 800-186, section 3.2.1.3). */
const P256_ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
/** 64 bits more than the order has, so that the remainder is close to uniform (FIPS 186-5, A.2.1). */
const SEED_BYTES = 48;

/** The public half of the signing key as it stands in the JWKS (RFC 7517). */
export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly use: 'sig';
  readonly alg: 'ES256';
  /** RFC 7638 thumbprint. */
  readonly kid: string;
}

/** Signs the identity assertions that upstreams receive. */
export interface AssertionKey {
  readonly publicJwk: PublicJwk;
  /**
   * Makes a compact ES256 JWT (RFC 7515, RFC 7518 section 3.4) of the claims. Adds no claim of its own: issuer,
   * audience and expiry are the caller's. About 50 µs; callers keep the result while it is valid.
   */
  sign(payload: Readonly<Record<string, unknown>>): string;
}

/**
 * Derives the P-256 signing key from a master key, so that all nodes with the same master key publish one JWKS
 * and nothing more has to be stored or copied.
 *
 * @param kid the master key; while master keys rotate the JWKS lists one public key for each.
 * @throws GatewayError `internal` when the key id is not in the ring.
 */
export function createAssertionKey(keyring: Keyring, kid: string = keyring.currentKid): AssertionKey {
  const seed = keyring.derive(kid, 'assertion', SEED_BYTES);
  if (seed === undefined) throw new GatewayError('internal', `no master key has the id "${kid}"`);
  const scalar = (BigInt(`0x${seed.toString('hex')}`) % (P256_ORDER - 1n)) + 1n;
  const secret = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex');
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(secret);
  const point = ecdh.getPublicKey();
  const x = point.subarray(1, 33).toString('base64url');
  const y = point.subarray(33).toString('base64url');
  const d = secret.toString('base64url');
  const key = createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' });
  const thumbprint = hash('sha256', `{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`, 'base64url');
  const header = encode({ alg: 'ES256', kid: thumbprint, typ: 'JWT' });
  return {
    publicJwk: { kty: 'EC', crv: 'P-256', x, y, use: 'sig', alg: 'ES256', kid: thumbprint },
    sign(payload) {
      const signed = `${header}.${encode(payload)}`;
      const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
  };
}

function encode(value: Readonly<Record<string, unknown>>): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
