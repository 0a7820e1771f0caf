import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

/** What may be asked of a test certificate; the defaults are those of a good one. */
interface ChainOptions {
  readonly key?: readonly string[];
  readonly digest?: string;
  readonly purpose?: string;
  /** Further extensions of the server certificate, a line each. */
  readonly extensions?: string;
}

/** Root, intermediate and server certificate as another tool than ours makes them. */
export function makeChain(directory: string, hosts: readonly string[], options: ChainOptions = {}) {
  const file = (name: string): string => join(directory, name);
  const { key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], digest = '-sha256' } = options;
  const make = (name: string, extensions: string, issuer: string | undefined, keyArgs: readonly string[]) => {
    writeFileSync(file(`${name}.ext`), extensions);
    const request = ['req', '-nodes', '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`)];
    openssl(...request, ...keyArgs, '-out', file(`${name}.csr`));
    const signer = issuer
      ? ['-CA', file(`${issuer}.pem`), '-CAkey', file(`${issuer}.key`), '-CAcreateserial']
      : ['-signkey', file(`${name}.key`)];
    const sign = ['x509', '-req', '-in', file(`${name}.csr`), '-days', '90', '-extfile', file(`${name}.ext`)];
    openssl(...sign, ...signer, name === 'leaf' ? digest : '-sha256', '-out', file(`${name}.pem`));
  };
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  make('root', 'basicConstraints=critical,CA:TRUE\n', undefined, ec);
  make('intermediate', 'basicConstraints=critical,CA:TRUE\n', 'root', ec);
  const names = hosts.map((host) => `DNS:${host}`).join(',');
  const purpose = options.purpose ?? 'serverAuth';
  const more = options.extensions ?? '';
  make('leaf', `subjectAltName=${names}\nextendedKeyUsage=${purpose}\n${more}`, 'intermediate', key);
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  return {
    root: read('root.pem'),
    intermediate: read('intermediate.pem'),
    leaf: read('leaf.pem'),
    key: read('leaf.key'),
    otherKey: read('root.key'),
  };
}
