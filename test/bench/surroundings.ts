import { X509Certificate, createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { issueAuthority, issueLeaf } from '../../gateway/tls/issue-certificate.ts';
import type { IssuedCertificate } from '../../gateway/tls/issue-certificate.ts';
import { scratch, startChild } from './children.ts';
import type { Surroundings } from './target.ts';

function localhostCertificate(): IssuedCertificate {
  const nowMs = Date.now();
  const authority = issueAuthority(['localhost'], nowMs, 1);
  const { publicKey, subject } = new X509Certificate(authority.certPem);
  const privateKey = createPrivateKey(authority.keyPem);
  return issueLeaf(['localhost'], { name: subject.replace('CN=', ''), publicKey, privateKey }, nowMs, 1);
}

/** Makes the certificate and starts the upstream that all targets share. */
export async function startSurroundings(): Promise<Surroundings> {
  const certFile = join(scratch, 'bench.crt');
  const keyFile = join(scratch, 'bench.key');
  const { certPem, keyPem } = localhostCertificate();
  writeFileSync(certFile, certPem);
  writeFileSync(keyFile, keyPem, { mode: 0o600 });
  const program = fileURLToPath(new URL('upstream.ts', import.meta.url));
  const upstream = await startChild({
    name: 'upstream',
    seat: 'around',
    command: [process.execPath, program],
  });
  const { port, body } = upstream.ready as { port: number; body: string };
  return { upstream: `http://127.0.0.1:${port}`, expected: body, certFile, keyFile };
}
