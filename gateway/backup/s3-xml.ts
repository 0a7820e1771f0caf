import { GatewayError } from '../core/gateway-error.ts';

/** An element of an answer: attributes and name spaces mean nothing to S3's and are left out. */
export interface XmlElement {
  readonly name: string;
  /** Text that stands directly in it, entities decoded. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

interface OpenElement {
  name: string;
  text: string;
  children: XmlElement[];
}

const TOKEN =
  /<!\[CDATA\[([\s\S]*?)\]\]>|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<\/([\w:.-]+)\s*>|<([\w:.-]+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
const DEPTH_LIMIT = 16;

/**
 * Reads the XML that S3 services answer with: elements, text, CDATA, the five entities of XML and numbered ones. There
 * are no document types, so that nothing expands or is fetched.
 *
 * @throws GatewayError `backup_failed` for what is no such document.
 */
export function parseXml(text: string): XmlElement {
  const root: OpenElement = { name: '', text: '', children: [] };
  const open = [root];
  const body = text.replace(/^\uFEFF/, '');
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < body.length) {
    const match = TOKEN.exec(body);
    if (match === null) throw notXml('something that is no element and no text');
    take(match, open);
  }
  const [only] = root.children;
  if (open.length !== 1 || root.children.length !== 1 || only === undefined || root.text.trim() !== '')
    throw notXml('not one whole element');
  return only;
}

function take(match: RegExpExecArray, open: OpenElement[]): void {
  const [, data, closed, opened, , isEmpty, text] = match;
  const current = open.at(-1);
  if (current === undefined) throw notXml('an end without a beginning');
  if (data !== undefined) current.text += data;
  else if (text !== undefined) current.text += decode(text);
  else if (opened !== undefined) {
    const element: OpenElement = { name: localName(opened), text: '', children: [] };
    current.children.push(element);
    if (isEmpty !== '/') open.push(element);
    if (open.length > DEPTH_LIMIT) throw notXml('too many elements in each other');
  } else if (closed !== undefined) {
    if (open.length === 1 || localName(closed) !== current.name) throw notXml('an end without a beginning');
    open.pop();
  }
}

/** The text of the first child of a name; empty when there is none. */
export function textOf(element: XmlElement | undefined, name: string): string {
  return element?.children.find((child) => child.name === name)?.text ?? '';
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function decode(text: string): string {
  return text.replaceAll(/&([^;&]{0,10};?)/g, (_, entity: string) => {
    const [, hex, decimal, name] = /^(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(\w+));$/.exec(entity) ?? [];
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    const character = name === undefined ? numbered(point) : ENTITIES[name];
    if (character === undefined) throw notXml('an entity that XML does not have');
    return character;
  });
}

function numbered(point: number): string | undefined {
  return point > 0 && point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff)
    ? String.fromCodePoint(point)
    : undefined;
}

function notXml(what: string): GatewayError {
  return new GatewayError(
    'backup_failed',
    `the answer is not the XML of an S3 service (${what}): look whether the endpoint is one`,
  );
}
