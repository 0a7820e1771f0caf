/** Printable text that JSON takes as it is: no quote, backslash, control, invisible or direction-changing character. */
const PLAIN =
  /^[\u0020-\u0021\u0023-\u005b\u005d-\u007e\u00a0-\u061b\u061d-\u1fff\u2010-\u2027\u2030-\u205f\u2070-\ud7ff]*$/;
const HIDDEN = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]/g;

/**
 * A text from anywhere as a JSON string, with its quotes: bounded, one line, and with nothing in it that moves a
 * terminal's cursor or turns the direction of text (OWASP logging cheat sheet: log injection).
 *
 * @param limit the most characters that are kept; `…` marks a cut.
 */
export function jsonText(text: string, limit: number): string {
  const bounded = text.length > limit ? `${text.slice(0, limit)}…` : text;
  if (PLAIN.test(bounded)) return `"${bounded}"`;
  return escapeHidden(JSON.stringify(bounded.toWellFormed()));
}

/** Escapes, in finished JSON, the invisible and direction-changing characters that JSON itself lets through. */
export function escapeHidden(json: string): string {
  return json.replaceAll(HIDDEN, unicodeEscape);
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
