import type { SecretReference } from './secret-reference.ts';

/** Where archives and the journal go, as a policy says it. */
export type BackupPlace =
  | { readonly kind: 'dir'; readonly dir: string }
  | {
      readonly kind: 's3';
      readonly endpoint: string;
      readonly bucket: string;
      readonly region: string;
      readonly prefix: string;
      readonly objectLockMs: number | undefined;
      /** Where the credentials are, never the credentials. */
      readonly accessKey: SecretReference;
      readonly secretKey: SecretReference;
    };

/** To so many an archive is encrypted at most: whoever reads one holds its header, which has a part for each. */
export const MOST_RECIPIENTS = 64;
