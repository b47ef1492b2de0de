// What all hubs share: routes below one prefix, a health check, sessions, a quiet end.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const keys = process.env.KEYS || '/app/keys';
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

// A session is a JWT (RS256): the manager signs it, every hub can check it.
function sign(claims) {
  const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const key = fs.readFileSync(`${keys}/jwt_private.pem`);
  return `${text}.${crypto.sign('RSA-SHA256', Buffer.from(text), key).toString('base64url')}`;
}

// The claims; null for none, a forged or an expired session.
function session(request) {
  const token = /(?:^|; )session=([^;]+)/.exec(request.headers.cookie || '');
  if (!token) {
    return null;
  }
  const [head, claims, signature] = token[1].split('.');
  const key = fs.readFileSync(`${keys}/jwt_public.pem`);
  const good = signature && crypto.verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), key,
    Buffer.from(signature, 'base64url'));
  const read = good ? JSON.parse(Buffer.from(claims, 'base64url')) : null;
  return read && read.exp > Date.now() / 1000 ? read : null;
}

function answer(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}

// Every hub has /healthz and /mine. `routes`: path below the prefix → function (request, response). `port`: its variable's name.
function serve(name, prefix, port, routes) {
  const handle = (request, response) => {
    const path = new URL(request.url, 'http://hub').pathname.slice(prefix.length) || '/';
    response.setHeader('x-release', process.env.SEATRIAL_RELEASE || name);
    if (path === '/healthz') {
      answer(response, 200, { hub: name, ok: true });
    } else if (path === '/mine') {
      const user = session(request);
      answer(response, user ? 200 : 401, user ? { user: user.sub } : { error: 'sign in at /login' });
    } else if (routes[path]) {
      routes[path](request, response);
    } else {
      answer(response, 404, { error: `${name} has no ${path}` });
    }
  };
  const server = http.createServer((request, response) => {
    try {
      handle(request, response);
    } catch (error) {
      console.error(error.message);
      answer(response, 500, { error: 'internal' });
    }
  });
  server.keepAliveTimeout = 60_000;
  server.listen(process.env[port], () => console.log(`${name} listens`));
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

module.exports = { answer, serve, session, sign };
