/** A refusal with the HTTP status that tells it; the message is shown to the person and so holds no secret. */
export class CrmProblem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'CrmProblem';
    this.status = status;
  }
}
