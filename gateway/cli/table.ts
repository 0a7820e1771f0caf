import { escapeHidden } from '../observability/json-text.ts';

/**
 * Lines up rows under headings, columns two spaces apart, as every human output of the command line does.
 * Cells hold what strangers chose (names, labels), so nothing in them moves the cursor of a terminal or breaks a line.
 *
 * @param headings one per column. @param rows cells as text, as many as there are headings.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [
    headings.map((heading) => heading.toUpperCase()),
    ...rows.map((cells) => cells.map(visible)),
  ];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function visible(cell: string): string {
  return escapeHidden(
    cell.replaceAll(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}
