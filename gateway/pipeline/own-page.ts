import type { BodyFields } from '../policy/recognition.ts';
import type { RequestContext } from './request-context.ts';

/** A whole answer made by the gateway itself. */
export interface OwnAnswer {
  readonly status: number;
  /** Flat names and values. */
  readonly headers: string[];
  readonly body: Buffer;
}

/** The page of a person's own keys and devices. It stands on a higher floor, so the composition root hands it in. */
export interface AccountPage {
  /**
   * Answers a request that runs in a person's session and that no other site started.
   *
   * @param form the fields of a POST; `undefined` shows the page.
   */
  answer(context: RequestContext, form: BodyFields | undefined): Promise<OwnAnswer>;
}
