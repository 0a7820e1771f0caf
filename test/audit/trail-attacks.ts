import { appendFileSync, copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { type AuditRecord, hashOf, lineOf } from '../../gateway/audit/audit-record.ts';
import type { TrailFixture } from './trail-fixture.ts';

/** One way to change a trail that must not go unseen. */
interface Attack {
  readonly name: string;
  /** Changes the files. @returns the file in which it must be found, where there is one; `false` when nothing changed. */
  run(trail: TrailFixture, draw: Draw): string | undefined | false;
}

/** Draws are whole numbers below it. */
export const RANGE = 2 ** 30;
/** Numbers from 0 to below 1. */
type Draw = () => number;

const pick = <T>(items: readonly T[], draw: Draw): T => {
  const item = items[Math.floor(draw() * items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
};
/** Writes lines as a file. */
export const write = (file: string, lines: readonly string[]) =>
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
const wholeLines = (trail: TrailFixture, file: string) => trail.linesOf(file);
/** The piece of a line that a crash left at the end of a file. */
const restOf = (file: string) => readFileSync(file, 'utf8').split('\n').at(-1) ?? '';

/** Every way that is tried. */
export const ATTACKS: readonly Attack[] = [
  {
    name: 'flip a bit',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const bytes = readFileSync(file);
      const at = Math.floor(draw() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(draw() * 8));
      writeFileSync(file, bytes);
      return undefined;
    },
  },
  {
    name: 'change a fact',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, text.replace(/"session":"s\d+"/, '"session":"s999"'));
      return readFileSync(file, 'utf8') === text ? false : basename(file);
    },
  },
  {
    name: 'delete a line',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const lines = wholeLines(trail, file);
      const rest = restOf(file);
      lines.splice(Math.floor(draw() * lines.length), 1);
      write(file, lines);
      appendFileSync(file, rest);
      return undefined;
    },
  },
  {
    name: 'swap two lines',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const lines = wholeLines(trail, file);
      const [one, other] = [Math.floor(draw() * lines.length), Math.floor(draw() * lines.length)];
      if (one === other) return false;
      [lines[one], lines[other]] = [lines[other] ?? '', lines[one] ?? ''];
      const rest = restOf(file);
      write(file, lines);
      appendFileSync(file, rest);
      return basename(file);
    },
  },
  {
    name: 'cut the end of a file',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const bytes = readFileSync(file);
      writeFileSync(file, bytes.subarray(0, Math.floor(draw() * bytes.length)));
      return undefined;
    },
  },
  {
    name: 'write a line twice',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const lines = wholeLines(trail, file);
      const at = Math.floor(draw() * lines.length);
      const rest = restOf(file);
      lines.splice(Math.floor(draw() * (lines.length + 1)), 0, lines[at] ?? '');
      write(file, lines);
      appendFileSync(file, rest);
      return basename(file);
    },
  },
  {
    name: 'swap two files',
    run(trail, draw) {
      const [one, other] = [pick(trail.files, draw), pick(trail.files, draw)];
      if (one === other) return false;
      const text = readFileSync(one);
      copyFileSync(other, one);
      writeFileSync(other, text);
      return undefined;
    },
  },
  {
    name: 'put an older version of a file back',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const lines = wholeLines(trail, file);
      write(file, lines.slice(0, Math.floor(draw() * lines.length)));
      return undefined;
    },
  },
  {
    name: 'drop a file',
    run(trail, draw) {
      rmSync(pick(trail.files, draw));
      return undefined;
    },
  },
  {
    name: 'copy a file under the next number',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const copy = file.replace(/\.\d{6}\./, '.000099.');
      copyFileSync(file, copy);
      return basename(copy);
    },
  },
  {
    name: 'drop a writer',
    run(trail, draw) {
      const writer = basename(pick(trail.files, draw)).split('.')[0] ?? '';
      for (const file of trail.files) if (basename(file).startsWith(`${writer}.`)) rmSync(file);
      return undefined;
    },
  },
  {
    name: 'drop a writer and its head',
    run(trail, draw) {
      const writer = basename(pick(trail.files, draw)).split('.')[0] ?? '';
      for (const file of trail.files) if (basename(file).startsWith(`${writer}.`)) rmSync(file);
      rmSync(join(trail.heads, `${writer}.head`));
      return undefined;
    },
  },
  {
    name: 'drop a head',
    run(trail, draw) {
      const heads = readdirSync(trail.heads).filter((name) => name.endsWith('.head'));
      rmSync(join(trail.heads, pick(heads, draw)));
      return undefined;
    },
  },
  {
    name: 'forge a record and every hash behind it, without the key',
    run(trail, draw) {
      const { writer, seq: victim } = pick(trail.records, draw);
      const keepsCodes = draw() < 0.5;
      let prev: string | undefined;
      let found: string | undefined;
      for (const file of trail.files) {
        const rest = restOf(file);
        const lines = wholeLines(trail, file).map((line) => {
          const record = JSON.parse(line) as AuditRecord;
          if (record.writer !== writer || record.seq < victim) return line;
          found ??= basename(file);
          const facts = record.seq === victim ? { ...record.facts, forged: true } : record.facts;
          const mac = keepsCodes ? record.mac : '1.AAAAAAAAAAAAAAAAAAAAAA';
          const body = { ...record, facts, mac, prev: prev ?? record.prev };
          const hash = hashOf(body);
          prev = hash;
          return lineOf({ ...body, hash }).trimEnd();
        });
        write(file, lines);
        appendFileSync(file, rest);
      }
      return found;
    },
  },
  {
    name: 'add a record at the end, without the key',
    run(trail, draw) {
      const { writer } = pick(trail.records, draw);
      const last = trail.records.findLast((record) => record.writer === writer);
      if (last === undefined) return false;
      const body = { ...last, event: 'key.issued', facts: {}, prev: last.hash, seq: last.seq + 1 };
      const file = trail.files.findLast((each) => basename(each).startsWith(`${writer}.`)) ?? '';
      appendFileSync(file, lineOf({ ...body, hash: hashOf(body) }));
      return basename(file);
    },
  },
  {
    name: 'put a line of one writer into the file of another',
    run(trail, draw) {
      const [one, other] = [pick(trail.files, draw), pick(trail.files, draw)];
      if (basename(one).split('.')[0] === basename(other).split('.')[0]) return false;
      const lines = wholeLines(trail, one);
      const rest = restOf(one);
      lines.splice(Math.floor(draw() * (lines.length + 1)), 0, pick(wholeLines(trail, other), draw));
      write(one, lines);
      appendFileSync(one, rest);
      return basename(one);
    },
  },
  {
    name: 'replace a line by one of another place',
    run(trail, draw) {
      const file = pick(trail.files, draw);
      const lines = wholeLines(trail, file);
      const rest = restOf(file);
      const [one, other] = [Math.floor(draw() * lines.length), Math.floor(draw() * lines.length)];
      if (one === other) return false;
      lines[one] = lines[other] ?? '';
      write(file, lines);
      appendFileSync(file, rest);
      return undefined;
    },
  },
];
