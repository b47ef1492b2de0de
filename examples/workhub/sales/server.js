// Leads and what became of them.
'use strict';

const { answer, serve } = require('../common/hub');

serve('sales', '/sales', 'SALES_PORT', {
  '/': (request, response) => answer(response, 200, { leads: [{ name: 'Harbour Ltd', state: 'won' }] }),
});
