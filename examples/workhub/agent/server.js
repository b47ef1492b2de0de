// Hardware under test.
'use strict';

const { answer, serve } = require('../common/hub');

serve('agent', '/agent', 'AGENT_PORT', {
  '/': (request, response) => answer(response, 200, { devices: [{ name: 'bench-1', state: 'idle' }] }),
});
