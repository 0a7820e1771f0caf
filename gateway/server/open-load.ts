import { EventLoopLoad } from '../observability/event-loop-load.ts';
import type { Closers } from './closers.ts';
import type { Foundation } from './foundation.ts';

/** Measures the load of this process from now on. @param closers takes what stops it. */
export function openLoad(
  { registry, metrics }: Pick<Foundation, 'registry' | 'metrics'>,
  closers: Closers,
): EventLoopLoad {
  const load = new EventLoopLoad();
  closers.push(load.start());
  registry.onCollect(() => metrics.overloadLevel.set(load.level));
  return load;
}
