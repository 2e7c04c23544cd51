use std::sync::Arc;

use axum::extract::State;

use super::{
    path::Id,
    window::{self, Window},
};
use crate::{
    App,
    call::Call,
    desk::Desk,
    error::ApiError,
    form::Params,
    machine::{self, Wish},
    model::RefundStatus,
    reply::Reply,
    store::{Part, Slot},
    view::{List, RefundView},
};

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

/// `POST /v1/refunds`, of a `charge` or a `payment_intent`.
pub(crate) async fn create(State(app): State<App>, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        let known = ["amount", "charge", "metadata", "payment_intent", "reason"];
        call.only(&known, &[])?;
        let params = &call.params;
        let wish = Wish {
            amount: params.integer("amount")?,
            reason: params.choice("reason", &REASONS)?,
            metadata: params.metadata()?,
        };
        let slot = source(&desk, params)?;
        Ok(desk
            .act(&slot, origin, |fact, bank| {
                machine::refund(fact, wish, bank)
            })
            .await)
    })
    .await
}

/// `GET /v1/refunds/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let tables = app.desk.store.read();
    let view = tables.refunds.get(&id).and_then(view);
    let view = view.ok_or_else(|| ApiError::missing("refund", &id, "id"))?;
    Ok(Reply::ok(&view))
}

/// `GET /v1/refunds`, of one charge or intent where that is given.
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(
        &[&window::KNOWN[..], &["charge", "payment_intent"]].concat(),
        &[],
    )?;
    let (charge, intent) = (call.params.get("charge"), call.params.get("payment_intent"));
    let window = Window::of(&call.params)?;
    let tables = app.desk.store.read();
    let created = |part: &Part| part.refund().map_or(0, |(_, refund)| refund.created);
    let keep = |part: &Part| {
        let of = part.charge().map(|charge| charge.id.as_str());
        charge.is_none_or(|charge| of == Some(charge))
            && intent.is_none_or(|intent| intent == part.fact.intent_id())
    };
    let (parts, has_more) = window.cut(&tables.refunds, "refund", created, keep)?;
    let data: Vec<_> = parts.into_iter().filter_map(view).collect();
    Ok(Reply::ok(&List::new("/v1/refunds", data, has_more)))
}

/// `POST /v1/refunds/{id}`: the merchant's notes.
pub(crate) async fn update(State(app): State<App>, Id(id): Id, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        call.only(&["metadata"], &[])?;
        let metadata = call.params.metadata()?;
        let slot = slot(&desk, &id)?;
        Ok(desk
            .act(&slot, origin, |fact, _| {
                machine::annotate(fact, &id, metadata, None)
            })
            .await)
    })
    .await
}

/// `POST /v1/refunds/{id}/cancel`: only while the refund waits for somebody's action.
pub(crate) async fn cancel(State(app): State<App>, Id(id): Id, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        call.only(&[], &[])?;
        let slot = slot(&desk, &id)?;
        Ok(desk
            .act(&slot, origin, |fact, bank| {
                let refund = fact.charge.as_ref().and_then(|charge| charge.refund(&id));
                let waits =
                    refund.is_some_and(|refund| refund.status == RefundStatus::RequiresAction);
                if !waits {
                    let message = "Only a refund with a status of requires_action can be canceled.";
                    return Err(ApiError::refused(message));
                }
                machine::settle(fact, &id, RefundStatus::Canceled, None, bank)
            })
            .await)
    })
    .await
}

/// The intent to which the refund `id` belongs.
pub(super) fn slot(desk: &Desk, id: &str) -> Result<Arc<Slot>, ApiError> {
    let tables = desk.store.read();
    let part = tables.refunds.get(id);
    part.and_then(|part| tables.intents.get(part.fact.intent_id()))
        .cloned()
        .ok_or_else(|| ApiError::missing("refund", id, "id"))
}

/// The intent whose money is asked back.
fn source(desk: &Desk, params: &Params) -> Result<Arc<Slot>, ApiError> {
    let (charge, intent) = (params.get("charge"), params.get("payment_intent"));
    let Some(id) = charge.or(intent) else {
        let message = "One of the following params should be provided for this request: payment_intent or charge.";
        return Err(ApiError::invalid(message)
            .code("parameter_missing")
            .param("charge"));
    };
    let tables = desk.store.read();
    if charge.is_none() {
        let missing = || ApiError::missing("payment_intent", id, "payment_intent");
        return tables.intents.get(id).cloned().ok_or_else(missing);
    }
    let fact = tables.charges.get(id);
    let slot = fact.and_then(|fact| tables.intents.get(fact.intent_id()));
    let slot = slot.ok_or_else(|| ApiError::missing("charge", id, "id"))?;
    let latest = slot.latest();
    if latest.intent.latest_charge.as_deref() != Some(id) {
        let message = format!("Charge {id} failed, so there is nothing to refund.");
        return Err(ApiError::refused(message).param("charge"));
    }
    if intent.is_some_and(|intent| intent != latest.intent_id()) {
        let message = format!("The charge {id} does not belong to the payment_intent.");
        return Err(ApiError::refused(message).param("payment_intent"));
    }
    Ok(slot.clone())
}

fn view(part: &Part) -> Option<RefundView<'_>> {
    let (charge, refund) = part.refund()?;
    RefundView::of(charge, &part.fact.intent, &refund.id)
}
