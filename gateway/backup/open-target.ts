import type { BackupPlace } from '../config/backup-place.ts';
import type { Environment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import type { SecretReference } from '../config/secret-reference.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { BackupTarget } from './backup-target.ts';
import { openDirectoryTarget } from './directory-target.ts';
import { openS3Target } from './s3-target.ts';

/**
 * Opens the target of a policy. Nothing is asked of it yet.
 *
 * @param dataDirectory the gateway's own, to warn of a target on the same file system.
 * @throws GatewayError `backup_failed` when its credentials cannot be read.
 */
export function openTarget(
  place: BackupPlace,
  options: { readonly clock: Clock; readonly environment: Environment; readonly dataDirectory?: string },
): BackupTarget {
  const { clock, environment, dataDirectory } = options;
  if (place.kind === 'dir')
    return openDirectoryTarget(place.dir, {
      clock,
      ...(dataDirectory === undefined ? {} : { dataDirectory }),
    });
  const { accessKey, secretKey } = place;
  const credentials = {
    accessKeyId: credential('access_key', accessKey, environment),
    secretAccessKey: credential('secret_key', secretKey, environment),
  };
  return openS3Target({ ...place, credentials }, { clock });
}

function credential(name: string, reference: SecretReference, environment: Environment): string {
  const reading = readSecret(reference, environment);
  if ('value' in reading) return reading.value;
  throw new GatewayError('backup_failed', `backup.to.s3.${name}: ${reading.problem}`);
}
