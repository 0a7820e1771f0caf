import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { type S3Credentials, createS3Client } from '../../gateway/backup/s3-client.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { freePort, until } from './redis-servers.ts';
import { temporaryDirectory } from './start-gateway.ts';

/** A real S3 service on loopback: Debian's Ceph, one monitor, one OSD in memory, one RADOS gateway. */
export interface S3Server {
  readonly endpoint: string;
  readonly port: number;
  /** Of the user that makes the buckets. */
  readonly credentials: S3Credentials;
  /** Makes a bucket; one with a lock keeps versions. */
  makeBucket(name: string, hasLock: boolean): Promise<void>;
  /** Another user, who may touch no bucket of the first. */
  makeStranger(): Promise<S3Credentials>;
  /** A bucket takes no more than so many bytes; `undefined` takes the quota away. */
  setQuota(bucket: string, bytes: number | undefined): Promise<void>;
  /** SIGKILL to the gateway that speaks S3; what is stored stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port. */
  restart(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const READY_MS = 60_000;
const USER: S3Credentials = { accessKeyId: 'ZASOVTESTKEY', secretAccessKey: 'a-secret-of-the-tests' };

/**
 * Ceph's own protocol is spoken without authentication, on loopback and for as long as the test runs. Proposals of the
 * monitor wait a second each by default, of which the making of pools needs a dozen.
 */
function settings(directory: string, monitorPort: number): string {
  return `[global]
fsid = ${randomUUID()}
mon host = [v2:127.0.0.1:${monitorPort}/0]
ms bind msgr1 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
keyring = ${directory}/keyring
run dir = ${directory}
admin socket =
log file =
log to stderr = false
err to stderr = true
paxos propose interval = 0.02
paxos min wait = 0.005
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 0
mon max pg per osd = 1000
[mon.a]
mon data = ${directory}/mon
mon initial members = a
mon cluster log file = /dev/null
[osd.0]
osd data = ${directory}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
public addr = 127.0.0.1
cluster addr = 127.0.0.1
`;
}

/** Starts it, in a second or two; ended with the test's process at the latest. */
export async function startS3Server(tries = 3): Promise<S3Server> {
  try {
    return await start(await freePort(), await freePort());
  } catch (error) {
    // Somebody else may have taken a port first.
    if (tries === 1) throw error;
    return await startS3Server(tries - 1);
  }
}

async function start(monitorPort: number, port: number): Promise<S3Server> {
  const directory = temporaryDirectory();
  for (const each of ['mon', 'osd', 'rgw']) mkdirSync(join(directory, each));
  const file = join(directory, 'ceph.conf');
  writeFileSync(file, settings(directory, monitorPort));
  const call = async (program: string, ...words: string[]) =>
    (await run(program, words, { env: { ...process.env, CEPH_CONF: file }, timeout: READY_MS })).stdout;
  const children: ChildProcess[] = [];
  const launch = (program: string, ...words: string[]): ChildProcess => {
    const log = openSync(join(directory, `${program}.log`), 'a');
    const child = spawn(program, ['-f', '-c', file, ...words], { stdio: ['ignore', log, log] });
    children.push(child);
    return child;
  };
  process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));
  const stop = async () => void (await Promise.all(children.map(ended)));
  try {
    const keyring = join(directory, 'keyring');
    const map = join(directory, 'monmap');
    await call('monmaptool', '--create', '--addv', 'a', `[v2:127.0.0.1:${monitorPort}]`, map);
    await call(
      'ceph-authtool',
      '--create-keyring',
      keyring,
      '--gen-key',
      '-n',
      'mon.',
      '--cap',
      'mon',
      'allow *',
    );
    await call('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '--keyring', keyring, '-c', file);
    launch('ceph-mon', '-i', 'a');
    const id = randomUUID();
    await call('ceph', 'osd', 'new', id);
    await call('ceph-osd', '--mkfs', '-i', '0', '-c', file, '--osd-uuid', id);
    launch('ceph-osd', '-i', '0');
    const front = ['-n', 'client.admin', `--rgw-frontends=beast endpoint=127.0.0.1:${port}`];
    const serve = () => launch('radosgw', ...front, `--rgw-data=${join(directory, 'rgw')}`);
    let gateway = serve();
    const makeUser = async (name: string, { accessKeyId, secretAccessKey }: S3Credentials): Promise<void> => {
      const keys = ['--access-key', accessKeyId, '--secret-key', secretAccessKey];
      await call('radosgw-admin', 'user', 'create', '--uid', name, '--display-name', name, ...keys);
    };
    const endpoint = `http://127.0.0.1:${port}`;
    const isUp = async () => {
      if (gateway.exitCode !== null) throw new Error(`radosgw ended with ${gateway.exitCode}`);
      return (await fetch(endpoint)).status === 200;
    };
    await until(isUp, READY_MS);
    await makeUser('zasov', USER);
    return {
      endpoint,
      port,
      credentials: USER,
      async makeBucket(bucket, hasLock) {
        const place = { endpoint, bucket, region: 'us-east-1', credentials: USER };
        await createS3Client(place, systemClock).call({
          method: 'PUT',
          headers: hasLock ? { 'x-amz-bucket-object-lock-enabled': 'true' } : {},
          what: 'make a bucket',
          permission: 's3:CreateBucket',
        });
      },
      async makeStranger() {
        const stranger = { accessKeyId: 'ZASOVSTRANGER', secretAccessKey: 'another-secret' };
        await makeUser('stranger', stranger);
        return stranger;
      },
      async setQuota(bucket, bytes) {
        const of = ['--quota-scope=bucket', `--bucket=${bucket}`];
        if (bytes !== undefined) await call('radosgw-admin', 'quota', 'set', ...of, `--max-size=${bytes}`);
        await call('radosgw-admin', 'quota', bytes === undefined ? 'disable' : 'enable', ...of);
      },
      kill: () => ended(gateway),
      async restart() {
        gateway = serve();
        await until(isUp, READY_MS);
      },
      signal: (name) => void gateway.kill(name),
      stop,
    };
  } catch (error) {
    await stop();
    const logs = ['ceph-mon', 'ceph-osd', 'radosgw'].map((name) => tail(join(directory, `${name}.log`)));
    throw new Error(`Ceph did not start: ${logs.join('\n')}`, { cause: error });
  }
}

function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-500);
  } catch {
    return '';
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
