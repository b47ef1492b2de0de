// The app of the release tests: answers, echoes, streams, and leaves in good order. How it
// misbehaves stands in /mode.txt: fails_to_boot, dies, slow, leaks (every 20th answer is a 500).
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const where = process.env.WHERE ? ' ' + process.env.WHERE : '';
const text = fs.readFileSync('/text.txt', 'utf8').trim() + where;
const mode = fs.readFileSync('/mode.txt', 'utf8').trim();
if (mode === 'fails_to_boot') {
  console.error('cannot boot: no such module');
  process.exit(3);
}
const streams = new Set();
let asked = 0;

const server = http.createServer((request, response) => {
  response.setHeader('x-release', text);
  if (request.url === '/events') {
    response.setHeader('content-type', 'text/event-stream');
    let number = 0;
    const tick = () => response.write(`data: ${number++}\n\n`);
    const timer = setInterval(tick, 100);
    tick();
    streams.add(response);
    response.on('close', () => {
      clearInterval(timer);
      streams.delete(response);
    });
  } else if (request.method === 'POST') {
    const hash = crypto.createHash('sha256');
    request.on('data', (part) => hash.update(part)).on('end', () => response.end(hash.digest('hex')));
  } else if (request.url === '/healthz') {
    response.statusCode = process.env.NOT_FIT ? 500 : 200;
    response.end('fit');
  } else {
    asked += 1;
    response.statusCode = mode === 'leaks' && asked % 20 === 0 ? 500 : 200;
    setTimeout(() => response.end(text), mode === 'slow' ? 700 : 0);
  }
});
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${crypto.createHash('sha1').update(key).digest('base64')}\r\n\r\n`);
  streams.add(socket);
  socket.on('error', () => {}).on('close', () => streams.delete(socket));
  socket.on('data', (frame) => {
    const length = frame[1] & 127;
    const data = frame.subarray(6, 6 + length).map((byte, i) => byte ^ frame[2 + (i % 4)]);
    socket.write(Buffer.concat([Buffer.from([0x81, length]), data]));
  });
});
server.keepAliveTimeout = 60_000;
server.listen(process.env.WEB_PORT, () => {
  console.log('listening');
  if (mode === 'dies') {
    setTimeout(() => process.exit(7), 1500);
  }
});
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  streams.forEach((stream) => stream.end());
  server.closeIdleConnections();
});
