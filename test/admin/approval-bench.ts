import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { AdminRegister } from '../../gateway/admin/admin-register.ts';
import { ApprovalDesk } from '../../gateway/admin/approval-desk.ts';
import type { CriticalAction } from '../../gateway/admin/admin.ts';
import { makePayload, type ProposalPayload, signPayload } from '../../gateway/admin/proposal.ts';
import { SignedRecords } from '../../gateway/admin/signed-records.ts';
import type { AuditEvent, AuditSink } from '../../gateway/core/audit-event.ts';
import { createMasterKey, type Keyring, parseKeyring } from '../../gateway/crypto/keyring.ts';
import type { RecordStore } from '../../gateway/store/record-store.ts';
import { listed, makeAdministrator, type TestAdministrator } from '../support/administrator.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

export const HOUR_MS = 3_600_000;
export const anna = makeAdministrator('Anna');
export const boris = makeAdministrator('Boris');
/** Has a certificate of the same authority and is on no list. */
export const carl = makeAdministrator('Carl');
export const people = { anna, boris, carl } as const;

/** What a node does when an action is approved. */
type NodeMood = 'works' | 'dies' | 'fails';

/** One node: a desk and a register over the shared store. */
export interface DeskNode {
  readonly desk: ApprovalDesk;
  readonly register: AdminRegister;
  mood: NodeMood;
  close(): void;
}

/** One call of an executor. */
interface Carried {
  readonly id: string;
  readonly action: CriticalAction;
  readonly atMs: number;
}

/** An installation with any number of nodes over one store. */
export interface DeskBench {
  readonly clock: ManualClock;
  readonly keyring: Keyring;
  readonly events: AuditEvent[];
  readonly carried: Carried[];
  open(own?: { audit?: AuditSink; data?: string }): Promise<DeskNode>;
  payload(action: CriticalAction, lifetimeMs?: number): ProposalPayload;
  /** Makes a proposal of a person at a node. */
  propose(
    node: DeskNode,
    person: TestAdministrator,
    payload: ProposalPayload,
  ): ReturnType<ApprovalDesk['propose']>;
  approve(
    node: DeskNode,
    person: TestAdministrator,
    payload: ProposalPayload,
  ): ReturnType<ApprovalDesk['approve']>;
}

const base = temporaryDirectory();

/** @param openRecords opens the shared store once more, as another process does. */
export function deskBench(openRecords: () => Promise<RecordStore> | RecordStore): DeskBench {
  const clock = new ManualClock();
  const keyring = parseKeyring(createMasterKey());
  const events: AuditEvent[] = [];
  const carried: Carried[] = [];
  let gateway = '';
  let list = 0;
  const bench: DeskBench = {
    clock,
    keyring,
    events,
    carried,
    open: async (own = {}) => {
      const records = await openRecords();
      const data = own.data ?? mkdtempSync(join(base, 'node-'));
      const signed = new SignedRecords(records, keyring, data);
      const audit = own.audit ?? {
        note: (event) => void events.push(event),
        commit: async (event) => void events.push(event),
      };
      const parts = { records, signed, keyring, clock, data, audit, notice: () => undefined };
      const register = await AdminRegister.open(parts, [listed(anna), listed(boris)]);
      ({ gateway, listNumber: list } = register);
      const desk = new ApprovalDesk({ ...parts, register, longestMs: () => HOUR_MS });
      const node: DeskNode = {
        desk,
        register,
        mood: 'works',
        close: () => {
          desk.close();
          register.close();
        },
      };
      const execute = async (action: CriticalAction, id: string) => {
        carried.push({ id, action, atMs: clock.now() });
        // A process that is killed in the middle never says anything again.
        if (node.mood === 'dies') await new Promise(() => undefined);
        if (node.mood === 'fails') throw new Error('the disk is full');
      };
      desk.onApproved('unseal_region', execute);
      desk.onApproved('restore', execute);
      await desk.refresh();
      return node;
    },
    payload: (action, lifetimeMs = HOUR_MS) =>
      makePayload(action, { gateway, list, expires_ms: clock.now() + lifetimeMs }),
    propose: (node, person, payload) =>
      node.desk.propose(listed(person), payload, signPayload(payload, person.privateKey)),
    approve: (node, person, payload) =>
      node.desk.approve(listed(person), payload.id, signPayload(payload, person.privateKey)),
  };
  return bench;
}

export const UNSEAL: CriticalAction = { kind: 'unseal_region', parameters: { region: 'msk' } };
export const RESTORE: CriticalAction = {
  kind: 'restore',
  parameters: { archive: 'b-1.age', sha256: 'ab'.repeat(32) },
};
