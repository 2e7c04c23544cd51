// The end of a run on one screen, and the same as JSON.

const ROWS = [
  ['list campaigns', 'http_req_duration{name:list}'],
  ['read totals', 'http_req_duration{name:totals}'],
  ['read wall', 'http_req_duration{name:wall}'],
  ['create pledge', 'http_req_duration{name:pledge}'],
  ['create payment', 'http_req_duration{name:payment}'],
  ['confirm at PSP', 'http_req_duration{name:confirm}'],
];

const ms = (value) => (value === undefined ? '-' : value.toFixed(1)).padStart(9);
const valueOf = (data, metric, field) => (data.metrics[metric] ? data.metrics[metric].values[field] : undefined);

function broken(data) {
  return Object.entries(data.metrics).flatMap(([metric, { thresholds = {} }]) =>
    Object.entries(thresholds)
      .filter(([, result]) => !result.ok)
      .map(([rule]) => `${metric} ${rule}`),
  );
}

export function summary(data, { rate, seconds }) {
  const failed = broken(data);
  const number = (metric, field) => valueOf(data, metric, field) || 0;
  const result = {
    rate,
    seconds,
    iterations: number('iterations', 'count'),
    dropped: number('dropped_iterations', 'count'),
    failed_requests: number('http_req_failed', 'passes'),
    confirmed: number('confirmed', 'count'),
    unaccounted_minor: number('unaccounted_minor', 'count'),
    settled_in_seconds: number('settled_in_seconds', 'value'),
    webhook_p95_ms: number('webhook_p95_ms', 'value'),
    latency_ms: {},
    broken: failed,
  };
  const lines = [`  ${''.padEnd(16)}${['p50', 'p95', 'p99', 'max'].map((name) => name.padStart(9)).join('')}   ms`];
  for (const [title, metric] of ROWS) {
    const stats = ['p(50)', 'p(95)', 'p(99)', 'max'].map((stat) => valueOf(data, metric, stat));
    if (stats[0] === undefined) continue;
    result.latency_ms[metric.match(/name:(\w+)/)[1]] = { p50: stats[0], p95: stats[1], p99: stats[2], max: stats[3] };
    lines.push(`  ${title.padEnd(16)}${stats.map(ms).join('')}`);
  }
  lines.push(`  ${'webhook'.padEnd(16)}${ms(undefined)}${ms(result.webhook_p95_ms)}   (at the gateway)`);
  const total =
    result.unaccounted_minor === 0
      ? `all in the total after ${result.settled_in_seconds.toFixed(1)} s`
      : `${result.unaccounted_minor} minor units of them not in the total`;
  lines.push(
    `  ${result.iterations} of ${rate * seconds} at ${rate}/s, ${result.dropped} dropped, ` +
      `${result.failed_requests} failed requests; ${result.confirmed} gifts confirmed, ${total}`,
  );
  lines.push(failed.length === 0 ? '  every promise kept' : failed.map((rule) => `  BROKEN ${rule}`).join('\n'));
  const output = { stdout: `${lines.join('\n')}\n` };
  if (__ENV.SUMMARY) output[__ENV.SUMMARY] = `${JSON.stringify(result, null, 2)}\n`;
  return output;
}
