/** What the console shows an administrator. */
export interface ConsoleFacts {
  readonly nowMs: number;
  readonly administrator: { readonly name: string; readonly certificateEndsMs: number | undefined };
  readonly administrators: readonly { readonly name: string; readonly fingerprint: string }[];
  /** Names that the policy wishes for, where they are others. */
  readonly wished: readonly string[];
  /** Proposals that wait for the other administrator. */
  readonly proposals: readonly {
    readonly id: string;
    readonly words: readonly string[];
    readonly hash: string;
    readonly proposedBy: string;
    readonly expiresMs: number;
  }[];
  readonly regions: readonly {
    readonly id: string;
    readonly condition: string;
    readonly nodes: readonly { readonly url: string; readonly healthy: boolean }[];
  }[];
  readonly servers: readonly string[];
  /** Of this process. */
  readonly tunnels: readonly {
    readonly administrator: string;
    readonly server: string;
    readonly openedMs: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  }[];
  /** `undefined` where the policy asks for none. */
  readonly backup: ConsoleBackup | undefined;
  /** Where the CRM's administration begins. */
  readonly pages: readonly string[];
}

/** How the backups of the fleet are. */
export interface ConsoleBackup {
  /** Of the last archive that is whole. */
  readonly last: { readonly archive: string; readonly bytes: number; readonly createdMs: number } | undefined;
  /** Whether it is older than anybody should leave it. */
  readonly isOverdue: boolean;
  /** When the next one is due. */
  readonly nextMs: number;
  /** Why the last attempt failed. */
  readonly failure: string | undefined;
  readonly isUnderWay: boolean;
}

/** A page as it is drawn, and the `Content-Security-Policy` that it needs. */
export interface DrawnPage {
  readonly html: string;
  readonly security: string;
}

/** Draws the console. It stands on a higher floor, so the composition root hands it in. */
export type DrawConsole = (facts: ConsoleFacts, language: 'en' | 'ru') => DrawnPage;
