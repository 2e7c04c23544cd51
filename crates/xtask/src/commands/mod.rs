//! One file per subcommand of `cargo xtask`.

mod audit;
mod chaos;
mod down;
mod fill;
mod follow;
mod lint;
mod load;
mod schemathesis;
mod test;
mod up;

pub use audit::{Audit, audit};
pub use chaos::{Chaos, chaos};
pub use down::down;
pub use fill::{Fill, fill};
pub use lint::lint;
pub use load::{Load, load};
pub use schemathesis::{Schemathesis, schemathesis};
pub use test::test;
pub use up::{Up, up};
