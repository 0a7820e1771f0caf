import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { drillText } from '../backup/drill-report.ts';
import { processEnvironment } from '../config/environment.ts';
import { systemClock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSigner } from '../crypto/signing-key.ts';
import { drillArchive, type DrillFacts } from '../server/restore-drill.ts';
import { RestoreScreen } from './restore-screen.ts';
import { openRestoreSource, readIdentityFile } from './restore-source.ts';
import { VERSION } from './version.ts';

/** How a drill is asked for. */
interface DrillFlags {
  readonly identity?: string | undefined;
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
 * @returns 0. @throws UsageError; GatewayError when the archive cannot be restored.
 */
export async function runDrill(archive: string, flags: DrillFlags): Promise<number> {
  const screen = new RestoreScreen(flags.json);
  const { identities, signer } = await readIdentityFile(flags.identity);
  const environment = processEnvironment();
  const source = await openRestoreSource(archive, {
    journal: flags.journal,
    environment,
    clock: systemClock,
  });
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
        report: (event) => screen.show(event),
        agree: () => Promise.resolve(undefined),
      },
      flags.withIncludes,
    );
    const report = signReport(facts, keyring);
    const name = `drills/${source.name.replace(/\.age$/, '')}-${randomBytes(4).toString('hex')}.json`;
    await source.target.put(name, once(`${JSON.stringify(report)}\n`));
    screen.report(report, `${source.target.where}: ${name}`);
    return 0;
  } finally {
    screen.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

function signReport(facts: DrillFacts, keyring: Keyring): DrillReport {
  const signer = createSigner(keyring, 'backup-signature');
  const signed = { ...facts, signer: signer.publicKey };
  return { ...signed, signature: signer.sign(drillText(signed)) };
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
