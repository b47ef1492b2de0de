// What a newcomer still has to do.
'use strict';

const { answer, serve } = require('../common/hub');

serve('onboarding', '/onboarding', 'ONBOARDING_PORT', {
  '/': (request, response) => answer(response, 200, { tasks: ['laptop', 'badge', 'first review'] }),
});
