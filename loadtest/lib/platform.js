// Where the platform is: from the environment, or from what `cargo xtask up` wrote down.

function running() {
  try {
    return JSON.parse(open('../../.run/fleet.json'));
  } catch (_absent) {
    return {};
  }
}

const fleet = __ENV.GATEWAY ? {} : running();

function from(name, written) {
  const value = __ENV[name] || written;
  if (!value) {
    throw new Error(`${name} is not set, and no .run/fleet.json says it: start a fleet with \`cargo xtask up\``);
  }
  return value;
}

export const platform = {
  gateway: from('GATEWAY', fleet.gateway),
  psp: from('PSP', fleet.psp),
  campaign: from('CAMPAIGN', fleet.campaign_id),
};
