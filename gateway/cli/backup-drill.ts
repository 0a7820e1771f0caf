import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { createBackupSigner } from '../backup/backup-signer.ts';
import { drillText } from '../backup/drill-report.ts';
import { oneChunk } from '../backup/one-chunk.ts';
import { processEnvironment } from '../config/environment.ts';
import { systemClock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { drillArchive, type DrillFacts } from '../server/restore-drill.ts';
import { untilInterrupted } from './interrupt.ts';
import { RestoreScreen } from './restore-screen.ts';
import { findIdentities, openRestoreSource } from './restore-source.ts';
import { VERSION } from './version.ts';

/** How a drill is asked for. */
interface DrillFlags {
  readonly identity: string | undefined;
  readonly passphrase: string | undefined;
  readonly signer?: string | undefined;
  readonly journal?: string | undefined;
  /** Where there is room for all of it; default a temporary directory. */
  readonly scratch?: string | undefined;
  /** Sources that are restored by their commands, as the policies in the archive say. */
  readonly withIncludes: readonly string[];
  readonly json: boolean;
}

/** A drill as it is put on record at the target. */
type DrillReport = DrillFacts & {
  /** SubjectPublicKeyInfo of the key from the archive, in base64. */
  readonly signer: string;
  /** Ed25519 over the canonical JSON of all else. */
  readonly signature: string;
};

/**
 * `zasov backup drill ARCHIVE`: restores an archive where the identity is, and leaves a signed report at its target,
 * which the gateway counts.
 *
 * @returns 0, or 130 after Ctrl-C. @throws UsageError; GatewayError when the archive cannot be restored.
 */
export async function runDrill(archive: string, flags: DrillFlags): Promise<number> {
  const says = 'nothing of the drill is left';
  return await untilInterrupted(says, async (signal) => await drill(archive, flags, signal));
}

async function drill(archive: string, flags: DrillFlags, signal: AbortSignal): Promise<number> {
  const screen = new RestoreScreen(flags.json, signal);
  const environment = processEnvironment();
  const { identities, signer } = await findIdentities({ ...flags, environment, signal });
  const { journal } = flags;
  const source = await openRestoreSource(archive, { journal, environment, clock: systemClock, signal });
  const scratch = await mkdtemp(join(resolve(flags.scratch ?? tmpdir()), 'zasov-drill-'));
  try {
    const { facts, keyring } = await drillArchive(
      {
        source,
        journal: source.journal,
        keys: { identities, signer: flags.signer ?? signer },
        data: join(scratch, 'data'),
        // What the journal has is what a loss at its end would leave.
        lostAtMs: 0,
        environment,
        clock: systemClock,
        version: VERSION,
        signal,
        report: (event) => screen.show(event),
        agree: () => Promise.resolve(undefined),
      },
      flags.withIncludes,
    );
    const report = signReport(facts, keyring);
    const name = `drills/${source.name.replace(/\.age$/, '')}-${randomBytes(4).toString('hex')}.json`;
    await source.target.put(name, oneChunk(`${JSON.stringify(report)}\n`));
    screen.report(report, `${source.target.where}: ${name}`);
    return 0;
  } finally {
    screen.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

function signReport(facts: DrillFacts, keyring: Keyring): DrillReport {
  const signer = createBackupSigner(keyring);
  const signed = { ...facts, signer: signer.publicKey };
  return { ...signed, signature: signer.sign(drillText(signed)) };
}
