import { randomBytes } from 'node:crypto';

import type { KeyService } from '../api-key/api-key.ts';
import type { AuditSink } from '../core/audit-event.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { SessionService } from '../session/session.ts';
import type { Intent, IntentFolder } from './intent-folder.ts';
import type { Notice } from './session-report.ts';

/** What a change of credentials came to. */
export interface CredentialOutcome {
  readonly sessionsEnded: number;
  readonly keysRotated: number;
}

/** Changes of people's passwords and logins: what was begun is finished, whoever dies in between. */
export interface CredentialChanges {
  /**
   * Ends every session of a person and rotates every key of theirs. Resolves when the store has both, durably. Safe
   * to call for the same person at once.
   *
   * @throws GatewayError `store_unavailable` after 5 s; it goes on being tried, and meanwhile this process takes no
   *   key of the person for good.
   */
  changed(account: string, subject: string): Promise<CredentialOutcome>;
  /**
   * Finishes what processes that are gone have left. Called at start, before anybody is served, and again and again.
   * Waits 5 s at most; what takes longer goes on being tried.
   */
  resume(): Promise<void>;
  /** Gives up trying; what is not done stays in the folder for the next start. */
  close(): void;
}

/** What changes of credentials work with. */
export interface CredentialChangeOptions {
  readonly sessions: Pick<SessionService, 'endPerson'>;
  readonly keys: Pick<KeyService, 'credentialsChanged' | 'hold'>;
  readonly folder: IntentFolder;
  readonly notice: Notice;
  /** Gets one record for all that a change brought about. */
  readonly audit: Pick<AuditSink, 'note'>;
  /** How long an answer is held up, in ms. Default 5000. */
  readonly answerMs?: number;
}

const ANSWER_MS = 5000;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2000;

/**
 * Makes the service that carries changes of credentials through: (1) the intent is written to disk, (2) sessions end
 * and keys rotate, (3) the intent is taken away; only then the client hears that its password was changed. A process
 * that is killed between any two steps leaves an intent, and both halves of step 2 may be done twice.
 */
export function createCredentialChanges(options: CredentialChangeOptions): CredentialChanges {
  const { sessions, keys, folder, notice, audit, answerMs = ANSWER_MS } = options;
  const waits = new Set<() => void>();
  /** Intents that this process works on. */
  const running = new Map<string, Promise<CredentialOutcome>>();
  let isClosed = false;

  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        waits.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds).unref();
      waits.add(done);
    });

  /** Tries until it is done; each half on its own, so that one that is done is not done again. */
  const insist = async <T>(step: () => Promise<T>): Promise<T> => {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LAST_RETRY_MS)) {
      if (isClosed)
        throw new GatewayError('store_unavailable', 'a change of credentials waits for a restart');
      try {
        return await step();
      } catch (error) {
        if (!(error instanceof GatewayError) || error.code !== 'store_unavailable')
          notice('warn', 'a change of credentials failed and is tried again', { error });
        await pause(waitMs);
      }
    }
  };

  const carryOut = async ({ name, account, subject }: Intent): Promise<CredentialOutcome> => {
    const release = keys.hold(account, subject);
    const [sessionsEnded, keysRotated] = await Promise.all([
      insist(() => sessions.endPerson(account, subject, 'credentials')),
      insist(() => keys.credentialsChanged(account, subject)),
    ]);
    audit.note({
      event: 'credentials.changed',
      facts: { account, sessions_ended: sessionsEnded, keys_rotated: keysRotated },
      person: { account, subject },
    });
    await folder.remove(name);
    release();
    notice('info', 'credentials changed', { account, sessionsEnded, keysRotated });
    return { sessionsEnded, keysRotated };
  };

  const start = (intent: Intent): Promise<CredentialOutcome> => {
    const known = running.get(intent.name);
    if (known !== undefined) return known;
    const work = carryOut(intent).finally(() => running.delete(intent.name));
    // Whoever waits hears of a failure; when nobody does, the intent on disk remains.
    work.catch(() => undefined);
    running.set(intent.name, work);
    return work;
  };

  const atMost = async <T>(work: Promise<T>): Promise<T | undefined> =>
    await Promise.race([work, pause(answerMs).then(() => undefined)]);

  return {
    async changed(account, subject) {
      const name = `${process.pid}-${randomBytes(9).toString('base64url')}`;
      const intent = { name, account, subject };
      // A full disk is no reason to leave thieves signed in: the change is only not proof against a crash then.
      await folder.write(intent).catch((error: unknown) => {
        notice('warn', 'a change of credentials cannot be written to disk', { error });
      });
      const outcome = await atMost(start(intent));
      if (outcome !== undefined) return outcome;
      throw new GatewayError('store_unavailable', 'a change of credentials waits for the store', {
        retryAfterSeconds: 5,
      });
    },
    async resume() {
      const orphans = await folder.orphans((name) => running.has(name));
      if (orphans.length === 0) return;
      notice('warn', 'changes of credentials that were left over are being finished', {
        count: orphans.length,
      });
      await atMost(Promise.allSettled(orphans.map((intent) => start(intent))));
    },
    close() {
      isClosed = true;
      for (const wake of waits) wake();
    },
  };
}
