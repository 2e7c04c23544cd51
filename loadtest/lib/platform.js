// Where the platform is: from the environment, or from what `cargo xtask up` wrote down.

function running() {
  try {
    return JSON.parse(open('../../.run/fleet.json'));
  } catch (_absent) {
    return {};
  }
}

const fleet = __ENV.GATEWAY ? {} : running();

export const platform = {
  gateway: __ENV.GATEWAY || fleet.gateway,
  psp: __ENV.PSP || fleet.psp,
  campaign: __ENV.CAMPAIGN || fleet.campaign_id,
};

// Asked once a run begins, and not when the script is only inspected.
export function ensureKnown() {
  for (const [name, value] of Object.entries(platform)) {
    if (!value) {
      throw new Error(`${name.toUpperCase()} is not set and no .run/fleet.json says it: run \`cargo xtask up --release\` first`);
    }
  }
}
