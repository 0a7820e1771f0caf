import type {
  FamilyLimits,
  SessionStore,
  StorePush,
  StoredFamily,
  UseOutcome,
} from '../store/session-store.ts';
import type { EndRelay } from './end-relay.ts';

/** Uses that change which ids are alive, so that another process's memory of them is old. */
const CHANGES: ReadonlySet<UseOutcome> = new Set(['ok_confirm', 'ok_sibling', 'ok_regress']);

/**
 * A store that several processes of one machine share, with a relay for what it cannot push, or pushes a moment too
 * late: whatever one process ends or changes the others learn at once. Ends and changed jars are known everywhere before the call returns, so
 * that the answer which tells a browser of them never overtakes them; a confirmed rotation is told without waiting,
 * since an old id that is accepted a moment longer delays a thief's discovery by that moment and loses nobody.
 */
export class RelayedStore implements SessionStore {
  readonly push: StorePush;
  readonly #store: SessionStore;
  readonly #relay: EndRelay;
  readonly #underWay = new Set<Promise<void>>();
  #isTelling = false;

  constructor(store: SessionStore, relay: EndRelay) {
    this.#store = store;
    this.#relay = relay;
    const own = store.push;
    this.push = {
      isAlive: () => relay.isAlive() && (own === undefined || own.isAlive()),
      onStale: (listener) => {
        const stopOwn = own?.onStale(listener);
        const stopRelay = relay.onNews(({ id, ended }) => {
          if (ended === undefined) listener(id);
        });
        return () => {
          stopOwn?.();
          stopRelay();
        };
      },
    };
    // A store that pushes tells every process of ends itself.
    if (own === undefined) store.onEnd((id, ended) => this.#publish({ id, ended }));
  }

  /** Whether an end is being told that another process brought about, and has reported. */
  get isTelling(): boolean {
    return this.#isTelling;
  }

  async create(family: StoredFamily, perPerson: number): Promise<void> {
    await this.#store.create(family, perPerson);
  }

  async use(...parameters: Parameters<SessionStore['use']>) {
    const answer = await this.#store.use(...parameters);
    if (answer !== undefined && CHANGES.has(answer.outcome)) this.#publish({ id: answer.family.id });
    return answer;
  }

  issue(id: string, hash: string, childHash: string, limits: FamilyLimits) {
    return this.#store.issue(id, hash, childHash, limits);
  }

  async replaceJar(id: string, jar: Uint8Array, expectedVersion: number): Promise<boolean> {
    const isReplaced = await this.#store.replaceJar(id, jar, expectedVersion);
    if (isReplaced) this.#publish({ id });
    return await this.#told(isReplaced);
  }

  async end(...parameters: Parameters<SessionStore['end']>): Promise<boolean> {
    return await this.#told(await this.#store.end(...parameters));
  }

  async endPerson(...parameters: Parameters<SessionStore['endPerson']>): Promise<number> {
    return await this.#told(await this.#store.endPerson(...parameters));
  }

  touch(id: string, seenMs: number): Promise<void> {
    return this.#store.touch(id, seenMs);
  }

  expire(id: string, limits: FamilyLimits): Promise<void> {
    return this.#store.expire(id, limits);
  }

  list(person?: string): Promise<StoredFamily[]> {
    return this.#store.list(person);
  }

  count(): Promise<number> {
    return this.#store.count();
  }

  sweep(idleMs: number): Promise<number> {
    return this.#store.sweep(idleMs);
  }

  /** Also ends that other processes told of. */
  onEnd(listener: Parameters<SessionStore['onEnd']>[0]): () => void {
    const stopLocal = this.#store.onEnd(listener);
    const stopRemote = this.#relay.onNews(({ id, ended }) => {
      if (ended === undefined) return;
      this.#isTelling = true;
      listener(id, ended, true);
      this.#isTelling = false;
    });
    return () => {
      stopLocal();
      stopRemote();
    };
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #publish(news: Parameters<EndRelay['publish']>[0]): void {
    const telling = this.#relay.publish(news).finally(() => this.#underWay.delete(telling));
    this.#underWay.add(telling);
  }

  async #told<T>(result: T): Promise<T> {
    if (this.#underWay.size > 0) await Promise.all(this.#underWay);
    return result;
  }
}
