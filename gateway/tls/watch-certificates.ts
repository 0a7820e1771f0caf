import { statSync } from 'node:fs';

/** How many files are looked at in one go: 20,000 of them must hold up no request. */
const FILES_A_LOOK = 200;
const POLL_MS = 5000;

/**
 * Looks at certificate and key files every few seconds and calls back when one was changed, replaced or taken away;
 * of very many, at 200 each time. A renewal that is caught half-way is refused by the check of key and certificate, and
 * the next look brings the other half. The timer does not keep the process alive.
 *
 * @param files those in force. @param changed must not throw. @returns a function that stops watching.
 */
export function watchCertificates(
  files: () => readonly string[],
  changed: () => void,
  pollMs = POLL_MS,
): () => void {
  const seen = new Map<string, string>();
  let next = 0;
  const look = (): void => {
    const all = files();
    let isChanged = false;
    for (let count = Math.min(FILES_A_LOOK, all.length); count > 0; count -= 1) {
      next = (next + 1) % all.length;
      const file = all[next] ?? '';
      const identity = identityOf(file);
      isChanged ||= (seen.get(file) ?? identity) !== identity;
      seen.set(file, identity);
    }
    if (isChanged) changed();
  };
  look();
  const timer = setInterval(look, pollMs).unref();
  return () => clearInterval(timer);
}

function identityOf(file: string): string {
  const facts = statSync(file, { bigint: true, throwIfNoEntry: false });
  return facts === undefined ? 'gone' : `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeNs}`;
}
