import { GatewayError } from '../core/gateway-error.ts';

/** What one side may ask of the other: by name, what is sent and what comes back. Both must survive JSON. */
export type CallTable = Record<string, { readonly ask: unknown; readonly answer: unknown }>;

/** The answering side of a table; a handler that throws is a failure for the one who asked. */
export type CallHandlers<Table extends CallTable> = {
  readonly [Name in keyof Table]: (
    value: Table[Name]['ask'],
  ) => Table[Name]['answer'] | Promise<Table[Name]['answer']>;
};

/** One end of a channel between two processes: `process`, or a forked child. */
export interface ProcessEnd {
  readonly connected: boolean;
  send?(message: Message, sent?: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

interface Question {
  readonly call: string;
  readonly id: number;
  readonly value: unknown;
}

type Message =
  | Question
  | { readonly answer: number; readonly value: unknown }
  | { readonly failure: number; readonly reason: string };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Questions and answers between the supervisor and one worker. Messages of one side arrive in the order in which
 * they were sent; answers come whenever they are ready.
 */
export class ProcessLink<Theirs extends CallTable, Ours extends CallTable> {
  readonly #end: ProcessEnd;
  readonly #handlers: CallHandlers<Ours>;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor(end: ProcessEnd, handlers: CallHandlers<Ours>) {
    this.#end = end;
    this.#handlers = handlers;
    end.on('message', (message) => this.#take(message as Message));
    end.on('disconnect', () => this.#lose('the other process is gone'));
  }

  /**
   * Asks the other side.
   *
   * @throws GatewayError `internal` when it fails, is gone, or says nothing in time.
   */
  ask<Name extends keyof Theirs & string>(
    call: Name,
    value: Theirs[Name]['ask'],
    timeoutMs: number,
  ): Promise<Theirs[Name]['answer']> {
    const id = (this.#last += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(id, `no answer to "${call}" in time`), timeoutMs).unref();
      this.#waiting.set(id, { resolve, reject, timer });
      this.#send({ call, id, value }, () => this.#fail(id, `"${call}" could not be sent`));
    });
  }

  #take(message: Message): void {
    if ('call' in message) void this.#answer(message);
    else if ('answer' in message) this.#settle(message.answer)?.resolve(message.value);
    else this.#fail(message.failure, message.reason);
  }

  async #answer({ call, id, value }: Question): Promise<void> {
    try {
      const handler = this.#handlers[call];
      if (handler === undefined) throw new Error(`"${call}" is not known here`);
      this.#send({ answer: id, value: await handler(value) });
    } catch (error) {
      this.#send({ failure: id, reason: error instanceof Error ? error.message : String(error) });
    }
  }

  #send(message: Message, failed: () => void = () => undefined): void {
    if (!this.#end.connected || this.#end.send === undefined) {
      failed();
      return;
    }
    this.#end.send(message, (error) => {
      if (error !== null) failed();
    });
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    return waiting;
  }

  #fail(id: number, reason: string): void {
    this.#settle(id)?.reject(new GatewayError('internal', reason));
  }

  #lose(reason: string): void {
    for (const id of this.#waiting.keys()) this.#fail(id, reason);
  }
}
