import { chunkCases } from './chunk-cases.ts';
import { expectCases } from './expect-cases.ts';
import { framingCases } from './framing-cases.ts';
import { hopCases } from './hop-cases.ts';
import { hostCases } from './host-cases.ts';
import { lineCases } from './line-cases.ts';
import { pipelineCases } from './pipeline-cases.ts';
import { targetCases } from './target-cases.ts';
import type { WireCase } from './wire-case.ts';

/** Every case of HTTP/1.1. */
export const cases: readonly WireCase[] = [
  ...framingCases,
  ...chunkCases,
  ...lineCases,
  ...targetCases,
  ...hostCases,
  ...hopCases,
  ...expectCases,
  ...pipelineCases,
];
