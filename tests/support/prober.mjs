// A client that never stops asking, at a constant rate and without waiting for earlier answers, as
// many users are. One process, for the tests and benchmarks of releases.
//
//   node prober.mjs '{"url": "http://127.0.0.1:4500", "rate": 20, "kinds": ["new", "kept"]}'
//
// Kinds: new (a connection each), kept (keep-alive), post (64 KB that trickle in within 0.4 s,
// echoed as a digest), upload (the same within `upload` ms, half as often), events (server-sent
// events), ws (WebSocket echo), h2 (one HTTP/2 session; over plain HTTP with prior knowledge).
// `rate` is per second and of each kind that asks; streams are `streams` each. Reads lines:
// "report" answers with one line of JSON and goes on, "reset" does so and forgets, the end of input
// ends it.
//
// `crossed` counts what the release before answered while later requests got the next one's answer.
//
// A stream that ends is not a failure: a drain ends it. It must open again at once, and what comes
// through it must be whole.
import crypto from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import readline from 'node:readline';
import tls from 'node:tls';

// UNIX time in ms, finer than Date.now() and steady.
const now = () => performance.timeOrigin + performance.now();
const options = { rate: 20, streams: 2, kinds: ['new', 'kept', 'post', 'events', 'ws'],
  timeout: 10_000, upload: 3000, ...JSON.parse(process.argv[2]) };
const base = new URL(options.url);
const library = base.protocol === 'https:' ? https : http;
const trust = { rejectUnauthorized: false };
const keeper = new library.Agent({ keepAlive: true, maxSockets: 8, ...trust });
const body = crypto.randomBytes(64 * 1024);
const digest = crypto.createHash('sha256').update(body).digest('hex');

const kinds = {};
// Releases by the header that the app sends, with the start of the first and last request of each.
let releases = {};
let newest = { from: 0 };    // the request begun last, of those answered
let started = now();
let lastGood = started;
let longestGap = 0;

function forget() {
  for (const kind of options.kinds) {
    kinds[kind] = { asked: 0, good: 0, retried: 0, cut: 0, crossed: 0, failed: [], times: [] };
  }
  releases = {};
  started = lastGood = now();
  longestGap = 0;
}

function fail(kind, why) {
  kinds[kind].failed.push(`${((now() - started) / 1000).toFixed(2)} s: ${why}`);
}

function good(kind, from, release) {
  const at = now();
  kinds[kind].good += 1;
  kinds[kind].times.push(at - from);
  longestGap = Math.max(longestGap, at - lastGood);
  lastGood = at;
  if (release) {
    releases[release] ??= { first: from, last: from };
    releases[release].last = Math.max(releases[release].last, from);
    if (from >= newest.from) {
      newest = { from, release };
    } else if (release !== newest.release) {
      kinds[kind].crossed += 1;
    }
  }
}

// `from` is when the request was due, so that a late one counts with its wait.
function request(kind, from, { agent, method = 'GET', path = '/', pieces = [], pause = 0 },
  again = true) {
  const made = library.request(new URL(path, base), { method, agent, timeout: options.timeout,
    headers: pieces.length ? { 'content-length': body.length } : {}, ...trust }, (answer) => {
    const parts = [];
    answer.on('data', (part) => parts.push(part));
    answer.on('aborted', () => fail(kind, 'the answer broke off'));
    answer.on('end', () => {
      const text = Buffer.concat(parts).toString();
      if (answer.statusCode !== 200) {
        fail(kind, `answered ${answer.statusCode} ${text.slice(0, 80)}`);
      } else if (pieces.length && text !== digest) {
        fail(kind, `the body came as ${text.slice(0, 80)}`);
      } else if (answer.complete) {
        good(kind, from, answer.headers['x-release']);
      }
    });
  });
  made.on('timeout', () => made.destroy(new Error('no answer in time')));
  made.on('error', (error) => {
    // A kept connection may be closed as it is used again; every client asks once more then.
    if (made.reusedSocket && error.code === 'ECONNRESET' && again && !pieces.length) {
      kinds[kind].retried += 1;
      request(kind, from, { agent, method, path, pieces }, false);
    } else {
      fail(kind, error.message);
    }
  });
  let next = 0;
  const send = () => {
    if (next === pieces.length) {
      made.end();
    } else {
      made.write(pieces[next++]);
      setTimeout(send, pause);
    }
  };
  send();
}

// The body in `count` pieces, within `time` ms.
const trickle = (count, time) => ({ agent: false, method: 'POST', path: '/echo',
  pause: time / count, pieces: Array.from({ length: count }, (_, n) =>
    body.subarray(n * body.length / count, (n + 1) * body.length / count)) });
const posted = trickle(4, 400);
const uploaded = trickle(16, options.upload);
let session;
const askers = {
  new: (from) => request('new', from, { agent: false }),
  kept: (from) => request('kept', from, { agent: keeper }),
  post: (from) => request('post', from, posted),
  upload: (from) => request('upload', from, uploaded),
  h2: (from) => ask2(from),
};

function ask2(from, again = true) {
  if (!session || session.closed || session.destroyed) {
    session = http2.connect(base, trust);
    session.on('error', () => {});
    session.on('goaway', () => session.close());
  }
  const stream = session.request({ ':path': '/' });
  let status = 0;
  let release;
  stream.setTimeout(options.timeout, () => stream.close(http2.constants.NGHTTP2_CANCEL));
  stream.on('response', (headers) => {
    status = headers[':status'];
    release = headers['x-release'];
  });
  stream.on('error', () => {});
  stream.resume();
  stream.on('close', () => {
    if (status === 200 && stream.rstCode === 0) {
      good('h2', from, release);
    } else if (stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM && again) {
      kinds.h2.retried += 1;    // the protocol says: not processed, ask again
      ask2(from, false);
    } else {
      fail('h2', `status ${status}, reset ${stream.rstCode}`);
    }
  });
}

function ask(kind) {
  const pause = 1000 / options.rate * (kind === 'upload' ? 2 : 1);
  let due = now();
  const tick = () => {
    for (; due <= now(); due += pause) {
      kinds[kind].asked += 1;
      askers[kind](due);
    }
    setTimeout(tick, due - now());
  };
  tick();
}

function events() {
  const from = now();
  let opened = false;
  let over = false;
  kinds.events.asked += 1;
  const end = (why) => {
    if (!over) {
      over = true;
      opened ? kinds.events.cut += 1 : fail('events', why);
      setTimeout(events, opened ? 0 : 100);
    }
  };
  const made = library.get(new URL('/events', base), { agent: false, ...trust }, (answer) => {
    let text = '';
    let expected;
    answer.setEncoding('utf8');
    answer.on('data', (part) => {
      text += part;
      for (let at; (at = text.indexOf('\n\n')) >= 0; text = text.slice(at + 2)) {
        const number = Number(text.slice(0, at).replace('data: ', ''));
        if (expected !== undefined && number !== expected) {
          fail('events', `event ${number} where ${expected} was due`);
        }
        expected = number + 1;
        if (!opened) {
          opened = true;
          good('events', from, answer.headers['x-release']);
        }
      }
    });
    answer.on('error', () => {});
    answer.on('close', () => end(`answered ${answer.statusCode} without an event`));
  });
  made.setTimeout(options.timeout, () => made.destroy(new Error('no event in time')));
  made.on('error', (error) => end(error.message));
}

// Frames of up to 125 bytes are all that is needed; a client masks (RFC 6455, 5.2).
function frame(text) {
  const mask = crypto.randomBytes(4);
  const data = Buffer.from(text).map((byte, i) => byte ^ mask[i % 4]);
  return Buffer.concat([Buffer.from([0x81, 0x80 | data.length]), mask, data]);
}

function ws() {
  const from = now();
  let opened = false;
  let over = false;
  let sent = 0;
  let left = Buffer.alloc(0);
  kinds.ws.asked += 1;
  const end = (why) => {
    if (!over) {
      over = true;
      clearInterval(timer);
      opened ? kinds.ws.cut += 1 : fail('ws', why);
      setTimeout(ws, opened ? 0 : 100);
    }
  };
  let waiting = now();
  const timer = setInterval(() => {
    if (opened && !socket.destroyed && waiting === 0) {
      waiting = now();
      socket.write(frame(`echo ${++sent}`));
    } else if (waiting && now() - waiting > options.timeout) {
      fail('ws', 'no echo in time');
      socket.destroy();
    }
  }, 200);
  const secure = base.protocol === 'https:';
  const place = { port: Number(base.port), host: base.hostname, ...trust };
  const socket = secure ? tls.connect(place) : net.connect(place);
  socket.on(secure ? 'secureConnect' : 'connect', () => socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${base.host}\r\n` +
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
    `Sec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}\r\n\r\n`));
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('closed before it was open'));
  socket.on('data', (part) => {
    left = Buffer.concat([left, part]);
    if (!opened) {
      const head = left.indexOf('\r\n\r\n');
      if (head < 0) {
        return;
      }
      if (!left.subarray(0, head).toString().startsWith('HTTP/1.1 101')) {
        fail('ws', left.subarray(0, 40).toString().split('\r')[0]);
        over = true;
        clearInterval(timer);
        socket.destroy();
        setTimeout(ws, 100);
        return;
      }
      opened = true;
      waiting = 0;
      left = left.subarray(head + 4);
      good('ws', from);
    }
    while (left.length >= 2 && left.length >= 2 + left[1]) {
      const text = left.subarray(2, 2 + left[1]).toString();
      if ((left[0] & 15) === 8) {
        socket.end();
      } else if (text !== `echo ${sent}`) {
        fail('ws', `'${text}' came back for 'echo ${sent}'`);
      }
      waiting = 0;
      left = left.subarray(2 + left[1]);
    }
  });
}

function report() {
  const out = { failed: [], releases, longest_gap_ms: Math.max(longestGap, now() - lastGood) };
  for (const [kind, each] of Object.entries(kinds)) {
    const times = each.times.sort((a, b) => a - b);
    const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? null;
    out[kind] = { asked: each.asked, good: each.good, retried: each.retried, cut: each.cut,
      crossed: each.crossed, failed: each.failed.length, p50_ms: at(0.5), p99_ms: at(0.99),
      max_ms: at(1) };
    out.failed.push(...each.failed.slice(0, 20).map((why) => `${kind} at ${why}`));
  }
  console.log(JSON.stringify(out));
}

forget();
for (const kind of options.kinds) {
  if (kind in askers) {
    ask(kind);
  } else {
    for (let n = 0; n < options.streams; n += 1) {
      kind === 'events' ? events() : ws();
    }
  }
}
const input = readline.createInterface({ input: process.stdin });
input.on('line', (line) => {
  report();
  if (line === 'reset') {
    forget();
  }
});
input.on('close', () => process.exit(0));
