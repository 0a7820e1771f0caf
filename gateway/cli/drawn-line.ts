const ERASE = '\r\u001B[K';
const USUAL_COLUMNS = 80;

/** Draws a line of standard error, which is a terminal, anew; what is wider than it is cut, as it could not be erased. */
export function drawLine(text: string): void {
  // A terminal that nobody has told its size says 0.
  const columns = process.stderr.columns || USUAL_COLUMNS;
  process.stderr.write(`${ERASE}${text.slice(0, columns - 1)}`);
}

/** Takes a drawn line away. */
export function eraseLine(): void {
  process.stderr.write(ERASE);
}
