import { requestMatchSchema } from './route-schema.ts';
import { successSchema } from './session-schema.ts';
import { valueSource } from './value-source.ts';
import { choice, section, wholeNumber } from './wording.ts';

export const observeSchema = section({
  match: requestMatchSchema,
  subject: valueSource(['form', 'query', 'json', 'header'], ['session']).describe(
    "Where the person's name is: form.X, query.X, json.a.b of the request, header.X of the answer; session = whoever asks.",
  ),
  success: successSchema
    .prefault({ status: [200] })
    .describe('What tells an answer with a credential from a refusal. Default status 200.'),
  credential: valueSource(['json', 'header']).describe(
    "Where the answer has the CRM's own credential: json.a.b or header.X. Answers of 64 KiB at most.",
  ),
  client_gets: choice(['key', 'nothing', 'credential'])
    .prefault('key')
    .describe(
      "What the client finds in its place: key = a key of the gateway's own, nothing = an empty text, credential = the CRM's own, which then leaves the house. Default key.",
    ),
  keys: wholeNumber(1, 100)
    .prefault(5)
    .describe(
      'Keys of one person that were given out so; the oldest is revoked when there is one more. Default 5.',
    ),
});
