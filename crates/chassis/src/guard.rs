//! Guards that a test can take away, to see that their absence is noticed.

/// Whether the guard of this name stands. Always true in release builds; false in debug builds when `CFA_WITHOUT`, a
/// comma-separated list, holds the name.
#[macro_export]
macro_rules! guard {
    ($name:literal) => {
        $crate::guard::stands($name)
    };
}

/// Whether the guard of this name stands. Called by [`guard!`](crate::guard!).
#[cfg(debug_assertions)]
pub fn stands(name: &str) -> bool {
    static WITHOUT: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
        let names = crate::env::Env::process().optional("CFA_WITHOUT");
        let names = names.unwrap_or_default();
        names
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect()
    });
    !WITHOUT.iter().any(|without| without == name)
}

/// Whether the guard of this name stands: it does.
#[cfg(not(debug_assertions))]
pub const fn stands(_: &str) -> bool {
    true
}
