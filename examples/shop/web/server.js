// The shop's page: rendered here, from what the API answers.
import http from 'node:http';
import { readFile } from 'node:fs/promises';
import { greeting } from './greeting.js';
import { page } from './page.js';

const port = Number(process.env.WEB_PORT ?? 3000);
const api = process.env.API_URL ?? 'http://localhost:3001';
const css = await readFile(new URL('./style.css', import.meta.url));

// Seatrial tells every preview what it shows.
const preview = {
  issue: process.env.PREVIEW_ISSUE_KEY ?? 'no issue',
  branch: (process.env.PREVIEW_BRANCH ?? 'no branch').replace('refs/heads/', ''),
  commit: (process.env.PREVIEW_COMMIT ?? '').slice(0, 10),
};

const routes = {
  '/': async (response) => {
    const answer = await fetch(`${api}/products`, { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) {
      throw new Error(`the API answered ${answer.status}`);
    }
    send(response, 200, 'text/html; charset=utf-8', page(greeting, await answer.json(), preview));
  },
  '/style.css': async (response) => send(response, 200, 'text/css; charset=utf-8', css),
};

function send(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}

const server = http.createServer(async (request, response) => {
  const route = routes[new URL(request.url, 'http://shop').pathname];
  if (!route) {
    return send(response, 404, 'text/plain', 'not found\n');
  }
  try {
    await route(response);
  } catch (error) {
    console.error('page failed:', error.message);
    // 503 until the API is up: whoever waits for us asks again.
    send(response, 503, 'text/plain', `the shop is not ready: ${error.message}\n`);
  }
});

server.listen(port, process.env.HOST, () => console.log(`web listens on port ${port}`));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
