import { createHash } from 'node:crypto';

import type { Environment } from '../config/environment.ts';
import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import { checkFiles } from './check-files.ts';
import { checkReferences } from './check-references.ts';
import { compilePolicy } from './compile-policy.ts';
import { explainIssues } from './explain-issue.ts';
import { inOrder, type Mistake } from './mistake.ts';
import { type PolicyDocument, readPolicyDocument } from './policy-document.ts';
import { outlinePolicy } from './policy-outline.ts';
import { policySchema, type PolicySettings } from './policy-schema.ts';
import type { Policy } from './policy.ts';

/** A set of policies that may be put into force. */
export interface LoadedPolicy {
  readonly policy: Policy;
  /** All settings, also those that the policy does not compile. */
  readonly settings: PolicySettings;
  /** What stands in the files, merged. */
  readonly raw: PolicyDocument['value'];
  /** SHA-256 over what they say, wherever they lie and however they are written: what both administrators approve. */
  readonly contentHash: string;
  /** Equal hashes mean equal texts in equally named files: a reload has nothing to do. */
  readonly hash: string;
}

/** A set of policies, or everything that is wrong with it. */
export type PolicyReading = LoadedPolicy | { readonly mistakes: readonly Mistake[] };

/**
 * Reads, validates and compiles a policy file or a directory of them. All mistakes are found in one go; any mistake
 * refuses the whole set. Reads files synchronously, at start and on reload only. Never throws.
 *
 * @param environment where `env:` and `credential:` secrets are looked up; their values are not kept.
 */
export function loadPolicy(path: string, environment: Environment): PolicyReading {
  const document = readPolicyDocument(path);
  try {
    return validate(document, environment);
  } catch (error) {
    // A fault of this program must not let half a policy through, nor stop a gateway that has a good one.
    const reason = error instanceof Error ? error.message : 'unknown';
    const message = `the policy could not be checked: ${reason}`;
    return { mistakes: [...document.mistakes, { ...document.placeOfKey([]), message }] };
  }
}

/**
 * Reads a policy as {@link loadPolicy} does, where what it names may not be there yet: on the machine on which all of it
 * is about to be restored.
 */
export function loadPolicyAlone(path: string): PolicyReading {
  const document = readPolicyDocument(path);
  return judge(document, checkReferences(document));
}

function isSamePlace(one: Mistake, other: Mistake): boolean {
  return one.file === other.file && one.line === other.line && one.column === other.column;
}

function validate(document: PolicyDocument, environment: Environment): PolicyReading {
  return judge(document, [...checkReferences(document), ...checkFiles(document, environment)]);
}

function judge(document: PolicyDocument, beyond: readonly Mistake[]): PolicyReading {
  const parsed = policySchema.safeParse(document.value, { reportInput: true });
  const found = [...(parsed.success ? [] : explainIssues(parsed.error.issues, document)), ...beyond];
  // Where the YAML itself is refused, what the value means is no second mistake.
  const mistakes = inOrder([
    ...document.mistakes,
    ...found.filter((each) => !document.mistakes.some((other) => isSamePlace(each, other))),
  ]);
  if (mistakes.length > 0 || !parsed.success) return { mistakes };
  const { value: raw, hash } = document;
  const contentHash = createHash('sha256')
    .update(canonicalJson(raw as JsonValue))
    .digest('hex');
  const policy = compilePolicy(parsed.data, outlinePolicy(raw, hash));
  return { policy, settings: parsed.data, raw, contentHash, hash };
}
