import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

import type { Mistake, Place } from './mistake.ts';
import { keyName, plainValue } from './plain-value.ts';

/** Steps from the top of a document: keys and list indices. */
export type Trail = readonly PropertyKey[];

/** One policy file, parsed as far as it could be. */
export interface YamlSource {
  /** The plain value; `undefined` when the file is no mapping or does not say for sure what it means. */
  readonly value: Readonly<Record<string, unknown>> | undefined;
  readonly mistakes: readonly Mistake[];
  /** Where a key itself stands; the nearest key around it when it is not there. */
  placeOfKey(trail: Trail): Place;
  /** Where the value of a key or list entry stands; the nearest key around it when it is not there. */
  placeOfValue(trail: Trail): Place;
  /** The value as it is written, cut to one short line; `undefined` when it is not there. */
  textOf(trail: Trail): string | undefined;
}

/** Reads one YAML 1.2 document and keeps where everything stands. Never throws. */
export function readYaml(file: string, text: string): YamlSource {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const mistakes: Mistake[] = [];
  let isSound = true;
  const refuse = (offset: number, message: string, found?: string, isFatal = true) => {
    isSound &&= !isFatal;
    mistakes.push({ ...placeAt(offset), message, text: found });
  };
  let root: Node | undefined;
  let value: Record<string, unknown> | undefined;
  try {
    const options = { lineCounter: lines, prettyErrors: false, uniqueKeys: false, version: '1.2' } as const;
    const document = parseDocument(text, options);
    refuseForm(document, refuse);
    root = document.contents ?? undefined;
    const lineOf = (offset: number) => placeAt(offset).line;
    if (isMap(root)) value = plainValue(root, refuse, lineOf) as Record<string, unknown>;
    else if (isSound) refuse(root?.range?.[0] ?? 0, otherForm(root));
  } catch (error) {
    // Some thousand brackets inside each other exhaust the stack.
    refuse(0, error instanceof RangeError ? TOO_DEEP : 'YAML: the parser gave up');
  }
  return { value: isSound ? value : undefined, mistakes, ...lookup(root, text, placeAt) };
}

function otherForm(root: Node | undefined): string {
  const isEmpty = root === undefined || (isScalar(root) && root.value === null);
  return isEmpty ? 'the file is empty' : 'a policy file is a mapping: "regions:", "routes:", "sessions:" …';
}

const TOO_DEEP = 'YAML: it is nested too deeply';

function refuseForm(document: Document.Parsed, refuse: (offset: number, message: string) => void): void {
  if (document.errors.some(({ code }) => code === 'RESOURCE_EXHAUSTION')) {
    refuse(0, TOO_DEEP);
    return;
  }
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    const words = message.replaceAll(/\s+/g, ' ').replace(/[.:]$/, '');
    refuse(pos[0], code === 'MULTIPLE_DOCS' ? 'a policy file holds one YAML document' : `YAML: ${words}`);
  }
  const { yaml, tags } = document.directives;
  if (yaml.explicit === true || Object.keys(tags).some((handle) => handle !== '!!'))
    refuse(0, 'YAML directives (%YAML, %TAG) have no place in a policy');
}

interface Step {
  readonly key: Node | undefined;
  readonly value: Node | undefined;
  readonly isMissing?: boolean;
}

function lookup(
  root: Node | undefined,
  text: string,
  placeAt: (offset: number) => Place,
): Pick<YamlSource, 'placeOfKey' | 'placeOfValue' | 'textOf'> {
  const walk = (trail: Trail): Step => {
    let step: Step = { key: undefined, value: root };
    for (const name of trail) {
      const next = stepInto(step.value, name);
      if (next === undefined) return { ...step, isMissing: true };
      step = next;
    }
    return step;
  };
  const keyPlace = ({ key, value }: Step) => placeAt((key ?? value)?.range?.[0] ?? 0);
  return {
    placeOfKey: (trail) => keyPlace(walk(trail)),
    placeOfValue: (trail) => {
      const step = walk(trail);
      const offset = step.isMissing === true ? undefined : step.value?.range?.[0];
      return offset === undefined ? keyPlace(step) : placeAt(offset);
    },
    textOf: (trail) => {
      const { value, isMissing } = walk(trail);
      return isMissing === true ? undefined : written(value, text);
    },
  };
}

function stepInto(node: Node | undefined, name: PropertyKey): Step | undefined {
  if (isSeq<Node>(node)) {
    const item = node.items[Number(name)];
    return item === undefined ? undefined : { key: undefined, value: item };
  }
  if (!isMap<Node, Node | null>(node)) return undefined;
  const pair = node.items.find(({ key }) => keyName(key) === String(name));
  return pair === undefined ? undefined : { key: pair.key, value: pair.value ?? undefined };
}

const LONGEST_TEXT = 80;

function written(node: Node | undefined, text: string): string | undefined {
  const range = node?.range ?? undefined;
  if (range === undefined) return undefined;
  const whole =
    isScalar(node) && typeof node.value === 'string' ? node.value : text.slice(range[0], range[1]);
  const [line = ''] = whole.trim().split(/\r?\n/, 1);
  if (line.length > LONGEST_TEXT) return `${line.slice(0, LONGEST_TEXT)}…`;
  return line.length < whole.trim().length ? `${line} …` : line;
}
