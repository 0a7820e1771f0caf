import { setTimeout as pause } from 'node:timers/promises';
import type { Person, Seen } from './shared-gateways.ts';

/** What a crowd met. */
export interface CrowdReport {
  /** Answers by status. */
  readonly statuses: Map<number, number>;
  /** Answers that must not be, in words; at most twenty. */
  readonly wrong: string[];
}

/** People who visit gateways in turn, one request after another each, until they are told to go home. */
export class Crowd {
  readonly report: CrowdReport = { statuses: new Map(), wrong: [] };
  readonly #people: readonly Person[];
  readonly #pauseMs: number;
  #isOver = false;
  #visits: Promise<void>[] = [];

  constructor(people: readonly Person[], pauseMs: number) {
    this.#people = people;
    this.#pauseMs = pauseMs;
  }

  start(): void {
    this.#visits = this.#people.map((person, index) => this.#roam(person, index));
  }

  async stop(): Promise<CrowdReport> {
    this.#isOver = true;
    await Promise.all(this.#visits);
    return this.report;
  }

  get total(): number {
    return [...this.report.statuses.values()].reduce((sum, count) => sum + count, 0);
  }

  async #roam(person: Person, index: number): Promise<void> {
    for (let round = index; !this.#isOver; round += 1) {
      const seen = await person.visit(round);
      this.report.statuses.set(seen.status, (this.report.statuses.get(seen.status) ?? 0) + 1);
      const fault = faultOf(person, seen);
      if (fault !== undefined && this.report.wrong.length < 20) this.report.wrong.push(fault);
      await pause(this.#pauseMs);
    }
  }
}

/** A signed-in person is served under their own name, or asked to come back shortly with their cookie kept. */
function faultOf({ name }: Person, { status, user, retryAfter, cleared }: Seen): string | undefined {
  if (status === 200) return user === name ? undefined : `${name} was answered as ${user ?? 'nobody'}`;
  if (cleared) return `${name} lost the cookie with ${status}`;
  if (status !== 503) return `${name} was answered ${status}`;
  return retryAfter === undefined ? `${name} was answered 503 without Retry-After` : undefined;
}
