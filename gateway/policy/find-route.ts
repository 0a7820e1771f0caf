import type { Route } from './policy.ts';
import type { MatchableRequest } from './recognition.ts';

/** The first route that means a request; none means that the request is refused. Runs on every request. */
export function findRoute(routes: readonly Route[], request: MatchableRequest): Route | undefined {
  for (const route of routes) if (route.matches.head(request)) return route;
  return undefined;
}
