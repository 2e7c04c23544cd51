// Reads one histogram of a Prometheus text page, and what was added to it between two readings.

// What the page calls +Inf; a number that JSON can carry from the setup to the teardown.
const BEYOND = Number.MAX_VALUE;

// Cumulative counts by upper bound, summed over every series of `metric` whose labels hold `label`.
export function buckets(text, metric, label) {
  const counts = new Map();
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${metric}_bucket{`) || !line.includes(label)) continue;
    const edge = line.match(/le="([^"]+)"/)[1];
    const bound = edge === '+Inf' ? BEYOND : Number(edge);
    counts.set(bound, (counts.get(bound) || 0) + Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  return counts;
}

// The quantile of what came between the two, interpolated within its bucket as Prometheus does; null for nothing.
export function quantile(q, before, after) {
  const added = [...after].map(([bound, count]) => [bound, count - (before.get(bound) || 0)]).sort((a, b) => a[0] - b[0]);
  const all = added.length ? added[added.length - 1][1] : 0;
  if (all === 0) return null;
  const rank = q * all;
  let [lower, below] = [0, 0];
  for (const [bound, count] of added) {
    if (count >= rank) {
      return bound === BEYOND ? lower : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [bound, count];
  }
  return lower;
}
