import { type Markup, markup, type Piece } from './markup.ts';

/** What the page's forms ask for. */
type AccountAction = 'reveal' | 'rotate' | 'revoke' | 'create' | 'end' | 'end-others' | 'sign-out';

/** One button that does something, and what it does it to. */
export interface Act {
  readonly token: string;
  readonly action: AccountAction;
  readonly id?: string;
  readonly label: string;
  /** Read out in place of the label, which many rows share. */
  readonly about?: string;
}

/** A form with one button. @param content what stands before the button. */
export function actForm(act: Act, style: 'primary' | 'danger' | '', content: Piece = false): Markup {
  const { token, action, id, label } = act;
  return markup`<form method="post" action="/.zasov/account"><input type="hidden" name="token" value="${token}"><input type="hidden" name="action" value="${action}">${id !== undefined && markup`<input type="hidden" name="id" value="${id}">`}${content}<button class="${style}">${label}</button></form>`;
}

/** A button that asks before it does something, without script. */
export function askForm(act: Act, opener: string, question: string, isDanger: boolean): Markup {
  const { about = opener } = act;
  return markup`<details class="ask"><summary class="${isDanger ? 'button danger' : 'button'}" role="button" aria-label="${about}">${opener}</summary>${actForm(act, isDanger ? 'danger' : 'primary', markup`<p>${question}</p>`)}</details>`;
}
