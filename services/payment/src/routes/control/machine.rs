//! `GET /api/payments/state-machine`

use chassis::http::{Json, Problems};
use common::payment::{Event, State, Step, apply};
use serde::Serialize;
use utoipa::ToSchema;

/// What can become of a payment.
#[derive(Serialize, ToSchema)]
pub struct StateMachine {
    states: Vec<StateView>,
    transitions: Vec<TransitionView>,
}

/// A state.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentStateInfo)]
pub struct StateView {
    state: State,
    /// Its rung on the ladder that a payment climbs; none off it.
    rank: Option<u8>,
    /// Whether the provider may still charge it.
    live: bool,
}

/// What an event does to a payment.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentTransitionRule)]
pub struct TransitionView {
    from: State,
    /// What happens.
    #[schema(example = "captured")]
    event: &'static str,
    to: State,
    /// The states that are written on the way, as nobody told of them.
    implied: Vec<State>,
}

/// Everything that the machine knows of.
const EVENTS: [Event; 11] = [
    Event::Authorized,
    Event::Captured,
    Event::Settled,
    Event::Declined,
    Event::Failed,
    Event::Expired,
    Event::Cancelled,
    Event::FullyRefunded,
    Event::RefundFailed { settled: false },
    Event::RefundFailed { settled: true },
    Event::LateCaptured,
];

/// The states of a payment, and what leads from one to another.
///
/// What is not listed changes nothing: it is a duplicate, stale, or a contradiction that the provider is asked about.
#[utoipa::path(
    get, path = "/api/payments/state-machine", tag = "payments", operation_id = "state_machine", security(()),
    responses((status = 200, description = "states and transitions", body = StateMachine), Problems),
)]
pub async fn machine() -> Json<StateMachine> {
    let states = State::ALL.iter().map(|state| StateView {
        state: *state,
        rank: state.rank(),
        live: state.is_live(),
    });
    let pairs = State::ALL
        .iter()
        .flat_map(|from| EVENTS.iter().map(move |event| (*from, *event)));
    let transitions = pairs.filter_map(|(from, event)| match apply(from, event) {
        Step::To { state: to, implied } => Some(TransitionView {
            from,
            event: event.as_str(),
            to,
            implied,
        }),
        _ => None,
    });
    Json(StateMachine {
        states: states.collect(),
        transitions: transitions.collect(),
    })
}
