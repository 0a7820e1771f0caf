import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ensurePrivateDirectory, replaceFile } from '../config/private-file.ts';
import { type Enrolment, makeEnrolment } from './admins-enrol.ts';

const NAMES = ['Anna', 'Boris'];

/**
 * The demo's two administrators: made on the first start as `zasov admins enrol` makes them, and kept with the password
 * of the file for browsers, which nobody else would see again. It is a demo: with both keys on one machine nothing is
 * under dual control.
 */
export async function demoAdministrators(policies: string, data: string): Promise<Enrolment[]> {
  await mkdir(data, { recursive: true, mode: 0o700 });
  const out = join(data, 'administrators');
  await ensurePrivateDirectory(out);
  const enrolments: Enrolment[] = [];
  for (const name of NAMES) {
    const file = join(out, `${name}.json`);
    if (!existsSync(file))
      await replaceFile(file, JSON.stringify(await makeEnrolment({ name, data, policies, out })), 0o600);
    enrolments.push(JSON.parse(await readFile(file, 'utf8')) as Enrolment);
  }
  return enrolments;
}
