// The donation as an open-loop mix: arrivals keep coming at RATE a second, however slow the answers are.
// Of ten arrivals seven read, two pledge, and one pays for an earlier pledge: the payment is created, confirmed at the
// PSP's simulator, and its webhooks come back through the gateway. At the end every confirmed gift must be in the total.
//
//     k6 run loadtest/donation_mix.js                    against the running `cargo xtask up`
//     RATE=3000 SECONDS=60 SUMMARY=out.json k6 run ...   GATEWAY, PSP and CAMPAIGN name another platform

import exec from 'k6/execution';
import http from 'k6/http';
import { check, fail, sleep } from 'k6';
import { Counter, Gauge } from 'k6/metrics';

import { buckets, quantile } from './lib/histogram.js';
import { ensureKnown, platform } from './lib/platform.js';
import { summary } from './lib/summary.js';

const rate = Number(__ENV.RATE || 1000);
const seconds = Number(__ENV.SECONDS || 30);
// What a person waits at most for a gift to be in the total, once the load has ended.
const settleSeconds = Number(__ENV.SETTLE_SECONDS || 60);

export const options = {
  scenarios: {
    mix: {
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: `${seconds}s`,
      preAllocatedVUs: Math.max(50, Math.ceil(rate / 10)),
      maxVUs: Math.max(200, rate),
    },
  },
  thresholds: {
    http_req_failed: ['rate==0'],
    checks: ['rate==1'],
    iterations: ['count>0'],
    dropped_iterations: ['count==0'],
    unaccounted_minor: ['count==0'],
    webhook_p95_ms: ['value<=100'],
    'http_req_duration{name:totals}': ['p(95)<=10'],
    'http_req_duration{name:pledge}': ['p(95)<=50'],
    'http_req_duration{name:payment}': ['p(95)<=100'],
    // Without a bound, so that they are in the summary.
    'http_req_duration{name:list}': ['p(95)>=0'],
    'http_req_duration{name:wall}': ['p(95)>=0'],
    'http_req_duration{name:confirm}': ['p(95)>=0'],
  },
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)', 'max'],
  setupTimeout: '30s',
  teardownTimeout: `${settleSeconds + 30}s`,
};

const confirmed = new Counter('confirmed');
// Every confirmed gift adds its amount here, and the teardown takes away what the total grew by: 0, or money is missing.
const unaccounted = new Counter('unaccounted_minor');
const settledIn = new Gauge('settled_in_seconds');
const webhookP95 = new Gauge('webhook_p95_ms');

const api = `${platform.gateway}/api`;
const campaign = `${api}/campaigns/${platform.campaign}`;
const READS = [
  { url: `${campaign}/totals`, name: 'totals' },
  { url: `${campaign}/donations?limit=20`, name: 'wall' },
  { url: `${campaign}/totals`, name: 'totals' },
  { url: `${api}/campaigns?limit=20`, name: 'list' },
  { url: `${campaign}/totals`, name: 'totals' },
  { url: `${campaign}/donations?limit=20`, name: 'wall' },
  { url: `${campaign}/totals`, name: 'totals' },
];

// The pledges of this virtual user that nobody has paid for yet.
const unpaid = [];

export default function () {
  const turn = exec.scenario.iterationInTest % 10;
  if (turn < READS.length) read(READS[turn]);
  else if (turn < 9) unpaid.push(pledge());
  else pay(unpaid.shift() || pledge());
}

function read({ url, name }) {
  const reply = http.get(url, { tags: { name } });
  check(reply, { 'read: 200': ({ status }) => status === 200 });
}

function post(url, name, body) {
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() };
  return http.post(url, JSON.stringify(body), { headers, tags: { name } });
}

function pledge() {
  const number = exec.scenario.iterationInTest;
  const amount = 500 + (number % 50) * 100;
  const reply = post(`${api}/pledges`, 'pledge', {
    campaign_id: platform.campaign,
    amount: { amount, currency: 'USD' },
    donor: { name: `Donor ${number % 1000}`, email: `donor${number % 1000}@example.org` },
    visibility: ['PUBLIC', 'ANONYMOUS', 'HIDDEN_AMOUNT'][number % 3],
  });
  if (!check(reply, { 'pledge: 201': ({ status }) => status === 201 })) return undefined;
  const { pledge: given, ticket } = reply.json();
  return { id: given.id, ticket, amount };
}

function pay(gift) {
  if (!gift) return;
  const created = post(`${api}/payments`, 'payment', { pledge_id: gift.id, ticket: gift.ticket });
  if (!check(created, { 'payment: 201': ({ status }) => status === 201 })) return;
  const secret = created.json('client_secret');
  const intent = secret.slice(0, secret.indexOf('_secret_'));
  // As Stripe's library does in the donor's browser.
  const paid = http.post(
    `${platform.psp}/v1/payment_intents/${intent}/confirm`,
    { client_secret: secret, payment_method: 'pm_card_visa' },
    { tags: { name: 'confirm' } },
  );
  if (check(paid, { 'confirm: succeeded': (reply) => reply.status === 200 && reply.json('status') === 'succeeded' })) {
    confirmed.add(1);
    unaccounted.add(gift.amount);
  }
}

function raised() {
  const reply = http.get(`${campaign}/totals`, { tags: { name: 'check' } });
  if (reply.status !== 200) fail(`the totals answered ${reply.status}: ${reply.body}`);
  return reply.json('raised.amount');
}

// What the PSP says it took for this campaign. Its ledger shares no code with what it witnesses.
function charged() {
  const reply = http.get(`${platform.psp}/_sim/ledger`, { tags: { name: 'check' }, timeout: '30s' });
  if (reply.status !== 200) fail(`the ledger of the PSP answered ${reply.status}`);
  return reply
    .json('charges')
    .filter(({ metadata }) => metadata.campaign_id === platform.campaign)
    .reduce((sum, charge) => sum + charge.captured, 0);
}

// The gateways' own histogram of deliveries; an edge does not show it, and then there is nothing to say.
function deliveries() {
  const reply = http.get(`${platform.gateway}/metrics`, {
    tags: { name: 'check' },
    responseCallback: http.expectedStatuses(200, 404),
  });
  return reply.status === 200
    ? [...buckets(reply.body, 'http_request_duration_seconds', 'route="/api/webhooks')]
    : [];
}

export function setup() {
  ensureKnown();
  return { raised: raised(), charged: charged(), deliveries: deliveries() };
}

export function teardown(before) {
  const began = Date.now();
  const expected = before.raised + charged() - before.charged;
  let now = raised();
  while (now !== expected && Date.now() - began < settleSeconds * 1000) {
    sleep(0.1);
    now = raised();
  }
  settledIn.add((Date.now() - began) / 1000);
  unaccounted.add(before.raised - now);
  const p95 = quantile(0.95, new Map(before.deliveries), new Map(deliveries()));
  if (p95 !== null) webhookP95.add(p95 * 1000);
  if (now !== expected) fail(`the total is ${now}, but the PSP took what makes it ${expected}`);
}

export function handleSummary(data) {
  return summary(data, { rate, seconds });
}
