import { pino } from 'pino';
import type { Clock } from '../core/clock.ts';
import { accessMembers } from './access-line.ts';
import type { AccessLine } from './access-line.ts';
import { isoTime } from './iso-time.ts';
import { escapeHidden } from './json-text.ts';
import { safeFields } from './log-fields.ts';
import type { LogFields } from './log-fields.ts';
import type { LogDestination } from './log-destination.ts';
import { scrubText } from './scrub-text.ts';

/** From the most talkative to the most quiet. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/**
 * The gateway's log: one JSON object a line. Messages are constant texts; what varies goes into the fields, where it is
 * scrubbed and bounded. Calls neither throw nor wait.
 */
export interface Logger {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** One line for a finished request, at level `info`. */
  access(line: AccessLine): void;
  /** Takes another level at once, as when the policies change. */
  setLevel(level: LogLevel): void;
}

/** What {@link createLogger} needs. */
interface LoggerSettings {
  readonly level: LogLevel;
  readonly clock: Clock;
  readonly destination: LogDestination;
}

const MESSAGE_LIMIT = 500;

/** Makes the log of this process. */
export function createLogger({ level, clock, destination }: LoggerSettings): Logger {
  const time = isoTime(clock);
  const general = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: () => `,"time":"${time()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => destination.write(escapeHidden(line)) },
  );
  let showsAccess = general.isLevelEnabled('info');
  const at =
    (name: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (!general.isLevelEnabled(name)) return;
      general[name](safeFields(fields), scrubText(message).slice(0, MESSAGE_LIMIT));
    };
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    access(line) {
      if (!showsAccess) return;
      const head = `{"level":"info","time":"${time()}","pid":${process.pid},`;
      destination.write(`${head}${accessMembers(line)},"msg":"request"}\n`);
    },
    setLevel(next) {
      general.level = next;
      showsAccess = general.isLevelEnabled('info');
    },
  };
}
