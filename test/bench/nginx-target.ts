import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { Child } from './children.ts';
import { scratch, startChild } from './children.ts';
import type { Surroundings } from './target.ts';

const program = 'nginx';

/** Whether nginx is installed; it is measured only then. */
export function hasNginx(): boolean {
  return spawnSync(program, ['-v'], { stdio: 'ignore' }).status === 0;
}

function configuration(around: Surroundings, port: number, directory: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${directory}/${kind};`,
  );
  return `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log warn;
events { worker_connections 8192; }
http {
${paths.join('\n')}
  access_log off;
  keepalive_timeout 120s;
  keepalive_requests 100000000;
  upstream crm { server ${around.upstream.slice('http://'.length)}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096;
    ssl_certificate ${around.certFile};
    ssl_certificate_key ${around.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass http://crm;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
  }
}
`;
}

/** A port that was free a moment ago: nginx cannot say which one it took. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0));
    });
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Starts nginx as a plain TLS proxy with one worker and keep-alive to the upstream. */
export async function startNginx(around: Surroundings): Promise<Child> {
  const port = await freePort();
  const directory = join(scratch, `nginx-${port}`);
  mkdirSync(directory);
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, configuration(around, port, directory));
  return startChild({
    name: 'nginx',
    seat: 'target',
    command: [program, '-e', join(directory, 'error.log'), '-p', directory, '-c', file],
    probe: async () =>
      (await answers(port)) ? { listeners: { public: `https://127.0.0.1:${port}` } } : undefined,
  });
}
