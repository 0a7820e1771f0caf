/** A request as rules see it: decoded once, read many times. */
export interface MatchableRequest {
  readonly method: string;
  /** Host name in lower case, without port. */
  readonly host: string;
  /** Percent-decoded path, as the upstream will read it. */
  readonly path: string;
  /** Decoded query parameters; built on first use. */
  readonly query: URLSearchParams;
  /** A header's value by its lower-case name. */
  header(name: string): string | undefined;
  /** The client's address, behind trusted proxies. */
  readonly clientAddress: string;
}

/** The fields of a small request body (64 KiB at most): urlencoded, multipart or JSON. */
export interface BodyFields {
  /**
   * A form field's value; `undefined` when it is absent, or given several times with different values: upstreams
   * disagree on which of them counts, so none of them may name a person.
   */
  form(name: string): string | undefined;
  /** All values of a form field, in order. */
  formValues(name: string): readonly string[];
  /** A JSON value by its path: `["user", "login"]`; numbers and booleans as text. */
  json(path: readonly string[]): string | undefined;
}

/** Whether a request is meant by a rule. */
export interface RequestRule {
  /** Everything that the request's head decides. Pure and quick: runs on every request. */
  head(request: MatchableRequest): boolean;
  /** Everything that needs the body (`form`, `json`, `when`); `undefined` when the head decides alone. */
  readonly body: ((fields: BodyFields) => boolean) | undefined;
  /** Why the head of a request is not meant, in words; `undefined` when it is. For `zasov explain`. */
  mismatch?(request: MatchableRequest): string | undefined;
}

/** The head of an upstream's answer as rules see it. */
export interface AnswerHead {
  readonly status: number;
  /** All values of a header by its lower-case name. */
  values(name: string): readonly string[];
  /** Names of the cookies that the answer sets to a value (deletions left out). */
  readonly setsCookies: readonly string[];
}

/** Whether an answer means success. */
export interface AnswerRule {
  /** Status, location, headers and set cookies. */
  head(answer: AnswerHead): boolean;
  /** `body_has` and `body_lacks` over the first 64 KiB as text; `undefined` when the head decides alone. */
  readonly body: ((text: string) => boolean) | undefined;
}

/** Where a person's name stands: `form.X`, `query.X`, `json.a.b` of the request, `header.X` of the answer. */
export type ValueSource =
  | { readonly from: 'form'; readonly name: string }
  | { readonly from: 'query'; readonly name: string }
  | { readonly from: 'json'; readonly path: readonly string[] }
  | { readonly from: 'header'; readonly name: string };
