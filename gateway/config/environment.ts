/** Environment variables by name. Passed in, so that tests bring their own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process; the one place from which the rest of the gateway gets it. */
export function processEnvironment(): Environment {
  return process.env;
}
