/** The CRM's own script: live updates, the poll of every open page, uploads with progress. */

const POLL_EVERY_MS = 30_000;
const TOAST_MS = 6000;
const RECONNECT_MS = 3000;
const { dataset } = document.body;
let isSessionOver = false;

/** A small message in the corner; the text is never markup. */
function toast(text, kind = '', link = '') {
  const box = document.getElementById('toasts');
  if (!box) return;
  const note = document.createElement(link ? 'a' : 'div');
  if (link) note.href = link;
  note.className = `toast ${kind}`;
  note.textContent = text;
  box.append(note);
  while (box.children.length > 4) box.firstElementChild.remove();
  if (kind !== 'over') setTimeout(() => note.remove(), TOAST_MS);
}

function sessionOver() {
  if (isSessionOver) return;
  isSessionOver = true;
  document.getElementById('live-dot')?.classList.remove('on');
  toast(dataset.sessionOver, 'over', '/login');
}

/** A page instead of JSON means that the session is gone: this application answers its login form with 200. */
async function poll() {
  try {
    const answer = await fetch(dataset.poll, { headers: { Accept: 'application/json' } });
    const isJson = (answer.headers.get('Content-Type') ?? '').startsWith('application/json');
    if (answer.status === 401 || (answer.ok && !isJson)) sessionOver();
  } catch {
    // No network for the moment; the next poll tells.
  }
}

function follow() {
  const socket = new WebSocket(new URL(dataset.live, location.href.replace(/^http/, 'ws')));
  const dot = document.getElementById('live-dot');
  socket.addEventListener('open', () => dot?.classList.add('on'));
  socket.addEventListener('message', ({ data }) => {
    const change = JSON.parse(data);
    if (change.type !== 'change') return;
    const link = change.action === 'deleted' ? '' : `/${change.entity}s/${change.id}`;
    toast(`${change.title} — ${dataset[change.action] ?? change.action} ${change.by}`, change.action, link);
  });
  socket.addEventListener('close', () => {
    dot?.classList.remove('on');
    if (isSessionOver) return;
    void poll();
    setTimeout(() => isSessionOver || follow(), RECONNECT_MS);
  });
}

/** Sends a form with a file in the background, so that large uploads show how far they are. */
function uploadWithProgress(form) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const bar = form.querySelector('progress');
    const button = form.querySelector('button');
    const request = new XMLHttpRequest();
    bar.hidden = false;
    button.disabled = true;
    request.upload.addEventListener('progress', ({ loaded, total }) => (bar.value = (loaded / total) * 100));
    request.addEventListener('loadend', () => {
      if (request.status === 200) location.reload();
      else {
        toast(
          `${request.status || ''} ${form.querySelector('input[type=file]').files[0]?.name ?? ''}`,
          'over',
        );
        bar.hidden = true;
        button.disabled = false;
      }
    });
    request.open('POST', form.action);
    request.send(new FormData(form));
  });
}

for (const form of document.querySelectorAll('form[data-confirm]'))
  form.addEventListener('submit', (event) => {
    if (!confirm(form.dataset.confirm)) event.preventDefault();
  });
for (const form of document.querySelectorAll('form.upload')) uploadWithProgress(form);
if (dataset.poll) {
  setInterval(() => void poll(), POLL_EVERY_MS);
  follow();
}
