import { parseArgs } from 'node:util';

import { processEnvironment } from '../config/environment.ts';
import { systemClock } from '../core/clock.ts';
import { type RestoreEvent } from '../server/restore-request.ts';
import { restoreState } from '../server/restore-state.ts';
import { untilInterrupted } from './interrupt.ts';
import { findIdentities, openRestoreSource } from './restore-source.ts';
import { RestoreScreen } from './restore-screen.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

const OPTIONS = {
  identity: { type: 'string' },
  passphrase: { type: 'string' },
  data: { type: 'string', default: 'var' },
  policies: { type: 'string', default: 'policies' },
  signer: { type: 'string' },
  journal: { type: 'string' },
  'skip-include': { type: 'string', multiple: true, default: [] as string[] },
  'lost-at': { type: 'string' },
  yes: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** What `zasov restore --help` shows. */
export const RESTORE_USAGE = `zasov restore ARCHIVE|s3://BUCKET/NAME --identity FILE|- [--passphrase file:PATH|env:NAME|credential:NAME]
                     [--data DIR] [--policies DIR|FILE] [--signer FINGERPRINT] [--journal DIR] [--lost-at TIME] [--skip-include NAME]… [--yes] [--json]`;

interface RestoreFlags {
  readonly identity: string | undefined;
  readonly passphrase: string | undefined;
  readonly data: string;
  readonly policies: string;
  readonly signer?: string | undefined;
  readonly journal?: string | undefined;
  readonly 'skip-include': readonly string[];
  readonly yes: boolean;
  readonly json: boolean;
}

/**
 * `zasov restore ARCHIVE`: brings a gateway back on an empty machine, from an archive and the journal beside it.
 *
 * @returns 0 when all of it is back, 130 after Ctrl-C. @throws UsageError; GatewayError when nothing was restored.
 */
export async function runRestoreCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const [archive, ...rest] = positionals;
  if (archive === undefined || rest.length > 0) throw new UsageError(RESTORE_USAGE);
  const lostAtMs = parseTime(values['lost-at']);
  const says = 'nothing was restored; the same command begins anew';
  return await untilInterrupted(says, async (signal) => {
    const { identity, passphrase } = values;
    return await restore(archive, { ...values, identity, passphrase }, lostAtMs, signal);
  });
}

async function restore(
  archive: string,
  flags: RestoreFlags,
  lostAtMs: number | undefined,
  signal: AbortSignal,
): Promise<number> {
  const environment = processEnvironment();
  const screen = new RestoreScreen(flags.json, signal);
  const { identities, signer } = await findIdentities({ ...flags, environment, signal });
  const { journal } = flags;
  const source = await openRestoreSource(archive, { journal, environment, clock: systemClock, signal });
  try {
    const result = await restoreState({
      source,
      journal: source.journal,
      keys: { identities, signer: flags.signer ?? signer },
      data: flags.data,
      policies: flags.policies,
      lostAtMs,
      skips: (name) => flags['skip-include'].includes(name),
      environment,
      clock: systemClock,
      version: VERSION,
      signal,
      report: (event: RestoreEvent) => screen.show(event),
      // Who says yes to everything has not said when the gateway was lost.
      agree: (about, question) => screen.agree(question, flags.yes && about === 'signer'),
    });
    screen.finish(result);
    return 0;
  } finally {
    screen.close();
  }
}

/** @returns milliseconds. @throws UsageError. */
function parseTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new UsageError(`--lost-at is a time such as 2026-11-26T03:00:00Z`);
  return ms;
}
