import { printable } from '../core/printable.ts';

/** How the entries of one place follow each other. */
type Sequence =
  /** There is one. */
  | 'one'
  /** Files of one directory, by name. */
  | 'flat'
  /** Files of a directory and of those in it, by path. */
  | 'tree'
  /** Numbered parts of a section, from 1. */
  | 'section'
  /** Numbered parts of sources, from 1, one source after the other. */
  | 'sources';

/** What stands between the head and the manifest, in its order. */
const PLACES: readonly (readonly [begin: string, sequence: Sequence])[] = [
  ['secrets/master.key', 'one'],
  ['policies/', 'flat'],
  ['audit/heads/', 'flat'],
  ['audit/trail/', 'tree'],
  ['data/', 'tree'],
  ['store/records-', 'section'],
  ['store/keys-', 'section'],
  ['store/sessions-', 'section'],
  ['include/', 'sources'],
];
const PART = { section: /^(\d{5})\.jsonl$/, sources: /^([^/]+)\/(\d{6})$/ };
/** Linux takes no longer path. */
const LONGEST_BYTES = 4095;

/** Whether a path, as the archive has it, stays below where it begins and can be shown: no `..`, nothing absolute. */
export function isSafePath(path: string): boolean {
  const isOdd = path.split('/').some((part) => part === '' || part === '.' || part === '..');
  return !isOdd && !/[\\\p{Cc}\p{Cs}]/u.test(path) && Buffer.byteLength(path) <= LONGEST_BYTES;
}

/** A path for an error, whatever is in it. */
export function shownPath(path: string): string {
  return JSON.stringify(printable(path, 200));
}

/** Follows the paths of an archive: every one in its place, none twice, no number left out. */
export class PathSequence {
  #place = -1;
  #last = '';
  #part = 0;
  #source: string | undefined;
  readonly #sources = new Set<string>();
  /** Files whose name the last path begins with, the shortest first. */
  #shorter: string[] = [];

  /** Takes the path of the next entry. @returns what is wrong with it, as a sentence, or `undefined`. */
  take(path: string): string | undefined {
    if (!isSafePath(path)) return `it names a file ${shownPath(path)}`;
    const place = PLACES.findIndex(([begin, sequence]) =>
      sequence === 'one' ? path === begin : path.startsWith(begin),
    );
    const [begin = '', sequence] = PLACES[place] ?? [];
    if (sequence === undefined) return `${shownPath(path)} is nothing that an archive holds`;
    if (place < this.#place) return `${shownPath(path)} stands behind ${shownPath(this.#last)}`;
    if (path === this.#last) return `${shownPath(path)} is in it twice`;
    if (place > this.#place) this.#begin(place);
    const says = this.#follow(path, path.slice(begin.length), sequence);
    this.#last = path;
    return says;
  }

  #begin(place: number): void {
    this.#place = place;
    this.#last = '';
    this.#part = 0;
    this.#shorter = [];
  }

  #follow(path: string, rest: string, sequence: Sequence): string | undefined {
    switch (sequence) {
      case 'one':
        return undefined;
      case 'flat':
      case 'tree':
        if (sequence === 'flat' && rest.includes('/')) return `${shownPath(path)} is in a folder`;
        return this.#followName(path);
      case 'section': {
        const [, number] = PART.section.exec(rest) ?? [];
        return this.#followPart(path, number);
      }
      case 'sources': {
        const [, source, number] = PART.sources.exec(rest) ?? [];
        return this.#beginSource(source) ?? this.#followPart(path, number);
      }
      default:
        return sequence satisfies never;
    }
  }

  /** Names go up, so that none can come twice; a file is no folder of a later one. */
  #followName(path: string): string | undefined {
    if (path < this.#last) return `${shownPath(path)} stands behind ${shownPath(this.#last)}`;
    this.#shorter = this.#shorter.filter((file) => path.startsWith(file));
    const folder = this.#shorter.find((file) => path[file.length] === '/');
    this.#shorter.push(path);
    return folder === undefined ? undefined : `${shownPath(folder)} is a file and a folder`;
  }

  #beginSource(source: string | undefined): string | undefined {
    if (source === undefined || source === this.#source) return undefined;
    if (this.#sources.has(source)) return `the parts of ${shownPath(source)} do not follow each other`;
    this.#sources.add(source);
    this.#source = source;
    this.#part = 0;
    return undefined;
  }

  #followPart(path: string, number: string | undefined): string | undefined {
    this.#part += 1;
    if (number === undefined) return `${shownPath(path)} is no part of anything`;
    return Number(number) === this.#part
      ? undefined
      : `${shownPath(path)} stands where part ${this.#part} belongs`;
  }
}
