import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

import type { Environment } from '../config/environment.ts';
import { fileProblem, readSecret } from '../config/read-secret.ts';
import { parseSecretReference } from '../config/secret-reference.ts';
import { trailName, valueAt } from './explain-issue.ts';
import type { Mistake } from './mistake.ts';
import type { PolicyDocument } from './policy-document.ts';
import type { Trail } from './yaml-source.ts';

const LARGEST_PEM_BYTES = 1024 * 1024;
const BUCKET_CREDENTIALS = { access_key: 'AWS_ACCESS_KEY_ID', secret_key: 'AWS_SECRET_ACCESS_KEY' };

/** Finds secrets and certificate files that a policy names and that are not there, or are not what they should be. */
export function checkFiles(document: PolicyDocument, environment: Environment): Mistake[] {
  const regions = countAt(document, ['regions']);
  const secrets: Trail[] = [
    ['secrets', 'master_key'],
    ['store', 'password'],
    ['api_keys', 'webhook', 'secret'],
    ...Array.from({ length: regions }, (_, index) => ['regions', index, 'facility', 'secret']),
    ...Array.from({ length: countAt(document, ['backup', 'include']) }, (_, index) => [
      'backup',
      'include',
      index,
      'token',
    ]),
  ];
  const certificates = Array.from({ length: countAt(document, ['tls', 'certificates']) }, (_, index) => [
    'tls',
    'certificates',
    index,
  ]);
  const nodeTls = Array.from({ length: regions }, (_, index) => ['regions', index, 'tls']);
  return [
    ...nodeTls.flatMap((trail) => [
      ...checkCertificate(document, trail),
      ...checkAuthorities(document, trail),
    ]),
    ...secrets.flatMap((trail) => checkSecret(document, trail, environment)),
    ...checkBucket(document, environment),
    ...certificates.flatMap((trail) => checkCertificate(document, trail)),
  ];
}

function checkSecret(document: PolicyDocument, trail: Trail, environment: Environment): Mistake[] {
  const text = valueAt(document.value, trail);
  const reference = typeof text === 'string' ? parseSecretReference(text) : undefined;
  if (reference === undefined) return [];
  const reading = readSecret(reference, environment);
  if ('value' in reading) return [];
  // The embedded store is this machine's own, so its first start makes the key; a shared store has one already.
  const isMadeLater =
    trail[1] === 'master_key' &&
    reference.kind === 'file' &&
    reading.absent &&
    valueAt(document.value, ['store', 'kind']) !== 'redis';
  return isMadeLater ? [] : [refuse(document, trail, `the secret is not there: ${reading.problem}`)];
}

/** The credentials of a bucket have a place even where the policy names none. */
function checkBucket(document: PolicyDocument, environment: Environment): Mistake[] {
  const bucket: Trail = ['backup', 'to', 's3'];
  if (valueAt(document.value, bucket) === undefined) return [];
  return Object.entries(BUCKET_CREDENTIALS).flatMap(([key, name]) => {
    const trail = [...bucket, key];
    if (valueAt(document.value, trail) !== undefined) return checkSecret(document, trail, environment);
    const reading = readSecret({ kind: 'env', name }, environment);
    if ('value' in reading) return [];
    const message = `${trailName(trail)}: the secret is not there: ${reading.problem}`;
    return [{ ...document.placeOfKey(bucket), message }];
  });
}

function checkCertificate(document: PolicyDocument, trail: Trail): Mistake[] {
  const mistakes: Mistake[] = [];
  const read = (key: string): string | undefined => {
    const file = valueAt(document.value, [...trail, key]);
    if (typeof file !== 'string' || file === '' || /\p{Cc}/u.test(file)) return undefined;
    const reading = readPem(file);
    if ('text' in reading) return reading.text;
    mistakes.push(refuse(document, [...trail, key], reading.problem));
    return undefined;
  };
  const certificate = read('cert');
  const key = read('key');
  const parsedCertificate = certificate === undefined ? undefined : parseCertificate(certificate);
  const parsedKey = key === undefined ? undefined : parseKey(key);
  if (certificate !== undefined && parsedCertificate === undefined)
    mistakes.push(refuse(document, [...trail, 'cert'], 'the file holds no PEM certificate'));
  if (key !== undefined && parsedKey === undefined)
    mistakes.push(
      refuse(document, [...trail, 'key'], 'the file holds no PEM private key (without a passphrase)'),
    );
  if (
    parsedCertificate !== undefined &&
    parsedKey !== undefined &&
    !parsedCertificate.checkPrivateKey(parsedKey)
  )
    mistakes.push(refuse(document, [...trail, 'key'], 'the key does not belong to the certificate'));
  return mistakes;
}

function checkAuthorities(document: PolicyDocument, trail: Trail): Mistake[] {
  const file = valueAt(document.value, [...trail, 'ca']);
  if (typeof file !== 'string' || file === '' || /\p{Cc}/u.test(file)) return [];
  const reading = readPem(file);
  const problem =
    'problem' in reading
      ? reading.problem
      : parseCertificate(reading.text) === undefined
        ? 'the file holds no PEM certificate'
        : undefined;
  return problem === undefined ? [] : [refuse(document, [...trail, 'ca'], problem)];
}

function readPem(file: string): { text: string } | { problem: string } {
  try {
    const facts = statSync(file);
    if (!facts.isFile() || facts.size > LARGEST_PEM_BYTES) return { problem: `${file} is not a PEM file` };
    return { text: readFileSync(file, 'utf8') };
  } catch (error) {
    return { problem: `${file} ${fileProblem(error)}` };
  }
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function parseKey(pem: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

function refuse(document: PolicyDocument, trail: Trail, message: string): Mistake {
  return { ...document.placeOfValue(trail), message: `${trailName(trail)}: ${message}` };
}

function countAt(document: PolicyDocument, trail: Trail): number {
  const list = valueAt(document.value, trail);
  return Array.isArray(list) ? list.length : 0;
}
