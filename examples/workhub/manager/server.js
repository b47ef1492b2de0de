// The front door: who is there, and sign-in for all hubs.
'use strict';

const { answer, serve, session, sign } = require('../common/hub');

const hubs = ['sales', 'fin', 'onboarding', 'agent'];

serve('manager', '', 'MANAGER_PORT', {
  '/': (request, response) => answer(response, 200, {
    hubs: hubs.map((hub) => `/${hub}`),
    user: session(request)?.sub ?? null,
    url: process.env.PUBLIC_URL ?? null,
  }),
  '/login': (request, response) => {
    const token = sign({ sub: 'demo', exp: Math.floor(Date.now() / 1000) + 3600 });
    const domain = process.env.COOKIE_DOMAIN ? `; Domain=${process.env.COOKIE_DOMAIN}` : '';
    response.setHeader('set-cookie', `session=${token}; Path=/; HttpOnly; SameSite=Lax${domain}`);
    answer(response, 200, { user: 'demo' });
  },
});
