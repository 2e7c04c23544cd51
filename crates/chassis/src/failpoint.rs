//! Places where a test can make the process die, as by `kill -9` at exactly that line.

/// Aborts the process when `CFA_ABORT_AT` names this point; compiled to nothing in release builds.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::failpoint::reached($name);
    };
}

/// Aborts the process when `CFA_ABORT_AT` is `name`. Called by [`failpoint!`](crate::failpoint!).
#[cfg(debug_assertions)]
pub fn reached(name: &str) {
    static ABORT_AT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| crate::env::Env::process().optional("CFA_ABORT_AT"));
    if ABORT_AT.as_deref() == Some(name) {
        tracing::error!(failpoint = name, "aborting at a failpoint");
        std::process::abort();
    }
}
