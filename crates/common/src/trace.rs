//! What a stored trace context says.

/// The trace's id in a `traceparent` (W3C Trace Context, 3.2.2.3).
pub fn id_of(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1).filter(|id| id.len() == 32)
}
