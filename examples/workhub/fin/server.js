// Invoices.
'use strict';

const { answer, serve } = require('../common/hub');

serve('fin', '/fin', 'FIN_PORT', {
  '/': (request, response) => answer(response, 200, { invoices: [{ number: 1, paid: true }] }),
});
