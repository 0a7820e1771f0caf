import { configureGlobal } from 'fast-check';

/**
 * Property tests: fast-check, with one seed for every run, so that a change is judged by what it changes and not by a
 * throw of dice. `ZASOV_TEST_SEED=random` draws new cases (a run that fails prints the seed it drew), and
 * `ZASOV_TEST_SEED=N` draws those of `N` again.
 */
const wanted = process.env.ZASOV_TEST_SEED ?? '20261124';
if (wanted !== 'random') configureGlobal({ seed: Number(wanted) });

export * from 'fast-check';
