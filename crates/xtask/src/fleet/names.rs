//! Which instance belongs to which service, and on which port it listens.

use super::Ports;

/// The instance of a service that has this number: `pledge`, `pledge-2`, ...
pub(super) fn instance(service: &str, n: usize) -> String {
    if n == 1 {
        service.to_owned()
    } else {
        format!("{service}-{n}")
    }
}

/// The service that an instance belongs to.
pub(super) fn service_of(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((service, number)) if number.parse::<usize>().is_ok() => service,
        _ => name,
    }
}

/// The port of the first instance of a service, or of a simulator.
pub(super) fn port_of(ports: &Ports, name: &str) -> u16 {
    match name {
        "gateway" => ports.gateway,
        "user" => ports.user,
        "campaign" => ports.campaign,
        "pledge" => ports.pledge,
        "payment" => ports.payment,
        "totals" => ports.totals,
        "notification" => ports.notification,
        "psp-sim" => ports.psp,
        _ => ports.mail,
    }
}
