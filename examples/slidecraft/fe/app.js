const find = (selector) => document.querySelector(selector);
const [upload, say] = document.querySelectorAll('form');

// The browser comes back by itself, and says which event it saw last.
function follow(id) {
  const events = new EventSource(`api/decks/${id}/events`);
  events.onmessage = ({ data }) => {
    const { state } = JSON.parse(data);
    find('output').textContent = state;
    find('#result').hidden = !['converted', 'exporting', 'exported'].includes(state);
    find('#result a').hidden = state !== 'exported';
  };
  return events;
}

// A WebSocket does not come back: a release, or a network, may end it.
function join(id) {
  const url = new URL(`rt/decks/${id}`, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => {
    const line = document.createElement('li');
    line.textContent = data;
    find('#room ul').append(line);
  };
  socket.onclose = () => setTimeout(() => { room = join(id); }, 500 + 1000 * Math.random());
  return socket;
}

let id;
let events;
let room;
upload.onsubmit = async (event) => {
  event.preventDefault();
  const answer = await fetch('api/decks', { method: 'POST', body: new FormData(upload) });
  if (!answer.ok) {
    find('output').textContent = await answer.text();
    return;
  }
  ({ id } = await answer.json());
  find('#result a').href = `api/decks/${id}/deck.pdf`;
  find('#room').hidden = false;
  find('#room ul').replaceChildren();
  events?.close();
  events = follow(id);
  if (room) {
    room.onclose = null;
    room.close();
  }
  room = join(id);
};
find('#export').onclick = () => fetch(`api/decks/${id}/export`, { method: 'POST' });
say.onsubmit = (event) => {
  event.preventDefault();
  room.send(say.text.value);
  say.reset();
};
