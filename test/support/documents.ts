/** One fenced block of a Markdown text, with the `<!-- mark -->` that stands above it, if any. */
export interface Fence {
  readonly mark: string;
  readonly language: string;
  readonly text: string;
}

const FENCE = /(?:<!-- ([\w ]+) -->\n+)?^```(\w*)\n([^]*?)^```$/gm;

/** All fenced blocks, in order. */
export function fencesOf(markdown: string): Fence[] {
  return [...markdown.matchAll(FENCE)].map(([, mark = '', language = '', text = '']) => ({
    mark,
    language,
    text,
  }));
}

/** The block under a mark. @throws Error when there is none, so that a test never compares nothing with nothing. */
export function fenceUnder(markdown: string, mark: string): string {
  const found = fencesOf(markdown).find((fence) => fence.mark === mark);
  if (found === undefined) throw new Error(`no block stands under <!-- ${mark} -->`);
  return found.text;
}

/** Text outside of fenced blocks. */
export function proseOf(markdown: string): string {
  return markdown.replaceAll(FENCE, '');
}

/** What stands in backticks outside of fenced blocks. */
export function codeSpansOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);
}

/** Relative links: the file (empty for this document) and the anchor (empty for none). */
export function relativeLinksOf(markdown: string): { file: string; anchor: string }[] {
  return [...proseOf(markdown).matchAll(/\]\(([^)\s]*)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor = ''] = target.split('#');
      return { file, anchor };
    });
}

/** The anchors that a forge makes of headings. */
export function anchorsOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** First cells of the table under a mark, each taken apart into what stands in backticks. */
export function firstColumnUnder(markdown: string, mark: string): string[] {
  const after = markdown.split(`<!-- ${mark} -->\n`)[1];
  const rows = after?.trimStart().split('\n\n', 1)[0]?.split('\n').slice(2) ?? [];
  if (rows.length === 0) throw new Error(`no table stands under <!-- ${mark} -->`);
  return rows.flatMap((row) => codeSpansOf(row.split('|')[1] ?? ''));
}

/** Tests that a text names: a file in backticks, then titles in quotes, each perhaps broken over lines. */
export function quotedTestsOf(markdown: string): { file: string; title: string }[] {
  const flat = markdown.replaceAll(/\s+/g, ' ');
  return [...flat.matchAll(/`(test\/[\w./-]+\.ts)` ("[^"]+"(?:, "[^"]+")*)/g)].flatMap(
    ([, file = '', quoted = '']) =>
      [...quoted.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ file, title })),
  );
}

/** Whether a test file has a test of this title; what a template leaves open matches anything. */
export function hasTest(source: string, title: string): boolean {
  const titles = [...source.matchAll(/\b(?:test|check)\(\s*(?:'([^'\n]+)'|"([^"\n]+)"|`([^`]+)`)/g)];
  return titles.some(([, single, double, template]) => {
    if (template === undefined) return (single ?? double) === title;
    const parts = template.split(/\$\{[^}]*\}/).map((part) => RegExp.escape(part));
    return new RegExp(`^${parts.join('.+')}$`).test(title);
  });
}
