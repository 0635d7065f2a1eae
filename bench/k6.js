// The create call with a fixed body, its answer checked, for comparison: k6 run -e URL=… -e BODY=FILE bench/k6.js
import http from 'k6/http';
import { check } from 'k6';

const body = open(__ENV.BODY);

export const options = { vus: 32, duration: __ENV.DURATION || '5s', summaryTrendStats: ['p(50)', 'p(99)'] };

export default function () {
  const answer = http.post(__ENV.URL, body, { headers: { 'Content-Type': 'application/json' } });
  check(answer, { ok: (a) => a.status === 200 && a.json('1.body.conversationId') !== '' });
}
