// The shop's API: products from PostgreSQL as JSON.
import http from 'node:http';
import pg from 'pg';

const port = Number(process.env.API_PORT ?? 3001);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
// An idle connection that the server closes is no reason to die.
pool.on('error', (error) => console.error('database connection lost:', error.message));

const routes = {
  '/healthz': async () => {
    await pool.query('SELECT 1');
    return { status: 'ok' };
  },
  '/products': async () => {
    const { rows } = await pool.query(
      'SELECT id, name, description, picture, price_cents FROM product ORDER BY id');
    return rows;
  },
};

const server = http.createServer(async (request, response) => {
  const route = routes[new URL(request.url, 'http://shop').pathname];
  let status = 200;
  let body;
  try {
    body = route ? await route() : { error: 'not found' };
    status = route ? 200 : 404;
  } catch (error) {
    console.error('query failed:', error.message);
    status = 503;
    body = { error: error.message };
  }
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
});

server.listen(port, process.env.HOST, () => console.log(`api listens on port ${port}`));
process.on('SIGTERM', () => {
  server.close(async () => {
    await pool.end();
    process.exit(0);
  });
  server.closeIdleConnections();
});
