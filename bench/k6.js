// The create call with a fixed body, its answer checked, for comparison: k6 run -e URL=… -e BODY=FILE bench/k6.js
// A closed load of 32 users, or with -e RATE=… an open one.
import http from 'k6/http';
import { check } from 'k6';

const body = open(__ENV.BODY);
const rate = Number(__ENV.RATE || 0);
const duration = __ENV.DURATION || '5s';
const closed = { executor: 'constant-vus', vus: 32, duration };
const arrivals = { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration, preAllocatedVUs: 200 };

export const options = {
  scenarios: { create: rate ? arrivals : closed },
  summaryTrendStats: ['p(50)', 'p(99)'],
};

export default function () {
  const answer = http.post(__ENV.URL, body, { headers: { 'Content-Type': 'application/json' } });
  check(answer, { ok: (a) => a.status === 200 && a.json('1.body.conversationId') !== '' });
}
