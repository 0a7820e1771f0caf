import { join } from 'node:path';

import type { KeyService } from '../api-key/api-key.ts';
import { createKeyService } from '../api-key/key-service.ts';
import { createKeyWebhook, type KeyWebhook } from '../api-key/key-webhook.ts';
import type { Environment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { AlarmBook } from '../pipeline/alarm-book.ts';
import { auditKeys } from '../pipeline/audit-report.ts';
import { createCredentialChanges, type CredentialChanges } from '../pipeline/credential-change.ts';
import { openIntentFolder } from '../pipeline/intent-folder.ts';
import { observeKeys } from '../pipeline/key-report.ts';
import type { Notice } from '../pipeline/session-report.ts';
import type { ApiKeyPolicy, Policy } from '../policy/policy.ts';
import type { SessionService } from '../session/session.ts';
import type { KeyStore } from '../store/key-store.ts';

/** API keys of one process, and what is done to them together with sessions. */
export interface ApiKeys {
  readonly service: KeyService;
  readonly credentials: CredentialChanges;
  /** The settings in force. */
  readonly policy: ApiKeyPolicy;
  /** Follows a policy. */
  configure(policy: Policy): void;
  /** Does what is due, one call at a time. Never rejects. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** What API keys of a process stand on. */
export interface ApiKeyOptions {
  readonly policy: Policy;
  readonly data: string;
  readonly environment: Environment;
  readonly keyStore: KeyStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly sessions: SessionService;
  readonly alarms: AlarmBook;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly audit: AuditSink;
}

/**
 * Builds the key service, the webhook that it tells, and the changes of credentials, of which those that an earlier
 * process left are finished first.
 *
 * @throws GatewayError `internal` when the secret of the webhook cannot be read.
 */
export async function openKeys(options: ApiKeyOptions): Promise<ApiKeys> {
  const { data, environment, keyStore, keyring, clock, sessions, metrics, logger, audit } = options;
  const notice: Notice = (level, message, facts) => logger[level](message, facts);
  let policy = options.policy.apiKeys;
  const report = observeKeys(metrics, notice, clock, options.alarms);
  const trail = auditKeys(audit);
  const service = createKeyService({
    store: keyStore,
    keyring,
    clock,
    settings: policy.settings,
    // Refusals are counted where requests end: also those that the service never sees, and each once.
    observer: {
      ...report,
      rejected: () => undefined,
      replayed: (...told) => {
        report.replayed(...told);
        trail.replayed(...told);
      },
      rotated: (...told) => {
        report.rotated(...told);
        trail.rotated(...told);
      },
      warned: (...told) => {
        report.warned(...told);
        trail.warned(...told);
      },
    },
  });
  const folder = await openIntentFolder(join(data, 'pending'), keyring);
  const credentials = createCredentialChanges({ sessions, keys: service, folder, notice, audit });
  let webhook = openWebhook(policy, environment, clock);
  await credentials.resume();
  const deliver = async (sender: KeyWebhook, ...told: Parameters<KeyWebhook['deliver']>) => {
    const isTaken = await sender.deliver(...told);
    metrics.apiKeyNotices.child({ result: isTaken ? 'taken' : 'failed' }).inc();
    return isTaken;
  };
  let round: Promise<void> | undefined;
  const doRound = async () => {
    const sender = webhook;
    try {
      await service.tick(sender && ((told, successor) => deliver(sender, told, successor)));
      await credentials.resume();
    } catch (error) {
      // While the store is away every request says so; a line a second would say no more.
      if (!(error instanceof GatewayError) || error.code !== 'store_unavailable')
        logger.error('a round of the API keys failed', { error });
    }
  };
  return {
    service,
    credentials,
    get policy() {
      return policy;
    },
    configure: (next) => {
      const before = webhook;
      policy = next.apiKeys;
      service.configure(policy.settings);
      try {
        webhook = openWebhook(policy, environment, clock);
        void before?.close();
      } catch (error) {
        logger.error('the webhook of API keys stays as it was', { error });
      }
    },
    tick: () => (round ??= doRound().finally(() => (round = undefined))),
    close: async () => {
      credentials.close();
      await webhook?.close();
      await service.close();
    },
  };
}

function openWebhook(
  { webhook }: ApiKeyPolicy,
  environment: Environment,
  clock: Clock,
): KeyWebhook | undefined {
  if (webhook === undefined) return undefined;
  const reading = readSecret(webhook.secret, environment);
  if (!('value' in reading))
    throw new GatewayError('internal', `api_keys.webhook.secret: ${reading.problem}`);
  return createKeyWebhook({ url: webhook.url, secret: reading.value, clock });
}
