import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { seatCommand } from './children.ts';

/** What the generator can be told to do. */
export type LoadOrder =
  | { readonly kind: 'sign-in'; readonly connections: number }
  /** Programs with one API key, one a connection; succeeds only if without it nobody is answered. HTTP/1 only. */
  | { readonly kind: 'bring-key'; readonly connections: number; readonly key: string }
  /** Succeeds only if a request without a cookie is refused and one with it is answered. */
  | { readonly kind: 'prove-guarded' }
  | { readonly kind: 'fetch'; readonly requests: number; readonly concurrency: number }
  | { readonly kind: 'open-idle'; readonly connections: number }
  | { readonly kind: 'sign-in-strangers'; readonly count: number };

/** What it answers when it has done so. */
export type LoadAnswer =
  | { readonly ok: true; readonly wallMs: number; readonly rotations: number; readonly cipher: string }
  | { readonly ok: false; readonly error: string };

/** The protocol that a generator speaks. */
export type Protocol = 'h1' | 'h2';

/** A load generator for one target, seen from the bench. */
export class LoadDriver {
  readonly #child: ChildProcess;

  /** Starts a generator beside the target's processor. `expected` is the body of every data answer. */
  constructor(protocol: Protocol, port: number, expected: string) {
    const program = fileURLToPath(new URL('load.ts', import.meta.url));
    this.#child = fork(program, [protocol, String(port), expected], { execArgv: [] });
    const [command, ...args] = seatCommand('around', []);
    if (command === 'taskset' && this.#child.pid !== undefined) {
      // Forked with a channel, so it is moved to its seat after the fact.
      const processors = args[1] ?? '0';
      spawnSync(command, ['-a', '-c', '-p', processors, String(this.#child.pid)], { stdio: 'ignore' });
    }
  }

  /**
   * Has an order carried out.
   *
   * @throws Error when an answer was not the expected one, or the generator died.
   */
  async order(order: LoadOrder): Promise<LoadAnswer & { ok: true }> {
    const answer = await new Promise<LoadAnswer>((resolve, reject) => {
      const died = (): void => reject(new Error('the load generator died'));
      this.#child.once('exit', died);
      this.#child.once('message', (message) => {
        this.#child.off('exit', died);
        resolve(message as LoadAnswer);
      });
      this.#child.send(order);
    });
    if (!answer.ok) throw new Error(answer.error);
    return answer;
  }

  /** Ends the generator and its connections. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || !this.#child.connected) return;
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.disconnect();
    await gone;
  }
}
