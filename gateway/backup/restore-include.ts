import { once } from 'node:events';
import { PassThrough } from 'node:stream';

/** One source that is being restored: its parts go in one after the other. */
export interface IncludeRestore {
  readonly name: string;
  /** Hands a part to the command, as fast as it takes it. @throws what the command failed with. */
  take(body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Resolves when the command has taken all of it and ended well. @throws GatewayError `backup_failed`. */
  finish(): Promise<void>;
  /** Ends the command. */
  abandon(): Promise<void>;
}

/** Starts to restore a source. @param run feeds a stream to its command. */
export function beginInclude(
  name: string,
  run: (body: AsyncIterable<Uint8Array>) => Promise<void>,
): IncludeRestore {
  const stream = new PassThrough();
  // A stream that is ended with a failure tells it to whoever reads it.
  stream.on('error', () => undefined);
  let failure: unknown;
  let isOver = false;
  const done = run(stream).then(
    () => (isOver = true),
    (error: unknown) => {
      failure = error;
      isOver = true;
    },
  );
  return {
    name,
    async take(body) {
      for await (const chunk of body) {
        if (failure !== undefined) throw failure;
        // A command that ended early and well has no use for the rest.
        if (isOver) continue;
        if (!stream.write(chunk)) await Promise.race([once(stream, 'drain').catch(() => undefined), done]);
      }
      if (failure !== undefined) throw failure;
    },
    async finish() {
      stream.end();
      await done;
      if (failure !== undefined) throw failure;
    },
    async abandon() {
      stream.destroy(new Error('the restore was given up'));
      await done;
    },
  };
}
