//! One file per subcommand of `cargo xtask`.

mod audit;
mod chaos;
mod down;
mod follow;
mod lint;
mod load;
mod test;
mod up;

pub use audit::{Audit, audit};
pub use chaos::{Chaos, chaos};
pub use down::down;
pub use lint::lint;
pub use load::{Load, load};
pub use test::test;
pub use up::{Up, up};
