//! One file per subcommand of `cargo xtask`.

mod down;
mod follow;
mod lint;
mod load;
mod test;
mod up;

pub use down::down;
pub use lint::lint;
pub use load::{Load, load};
pub use test::test;
pub use up::{Up, up};
