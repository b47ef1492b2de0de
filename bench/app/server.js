// node server.js web|api: answers once its part of the world is there.
import express from 'express';
import pg from 'pg';

const role = process.argv[2];
const app = express();
const pool = role === 'api' ? new pg.Pool({ connectionString: process.env.DATABASE_URL }) : null;
app.get('/', async (request, response) => {
  const rows = pool ? (await pool.query('SELECT count(*) FROM filler WHERE id < 100')).rows : [];
  response.json({ role, rows });
});
const server = app.listen(Number(process.env.PORT));
process.on('SIGTERM', () => {
  server.close(async () => {
    await pool?.end();
    process.exit(0);
  });
  server.closeIdleConnections();
});
