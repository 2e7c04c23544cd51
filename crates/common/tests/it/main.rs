//! Tests of the shared promises, one file per module.

mod events;
mod ids;
mod money;
mod payment;
