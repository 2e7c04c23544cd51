//! W3C trace context: the `traceparent` header.

use std::fmt;

/// Where a span belongs: its trace, itself, and whether anyone keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace_id: u128,
    /// The span; never zero.
    pub span_id: u64,
    /// Whether the spans of this trace are exported.
    pub sampled: bool,
}

impl TraceContext {
    /// Begins a trace, which is sampled with probability `ratio`.
    pub fn root(ratio: f64) -> Self {
        let trace_id = rand::random::<u128>().max(1);
        Self {
            trace_id,
            span_id: span_id(),
            sampled: sampled(trace_id, ratio),
        }
    }

    /// A new span in the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: span_id(),
            ..*self
        }
    }

    /// Reads a `traceparent` header; `None` where it is not valid, since the standard then asks for a new trace.
    pub fn parse(header: &str) -> Option<Self> {
        let bytes = header.trim().as_bytes();
        if bytes.len() < 55 || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
            return None;
        }
        let version = hex(&bytes[..2])?;
        // Later versions may append fields; version 00 has none, and ff is not a version.
        if version == 0xff
            || (version == 0 && bytes.len() > 55)
            || bytes.get(55).is_some_and(|next| *next != b'-')
        {
            return None;
        }
        let trace_id = hex(&bytes[3..35])?;
        let span_id = u64::try_from(hex(&bytes[36..52])?).ok()?;
        let flags = hex(&bytes[53..55])?;
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }
}

fn span_id() -> u64 {
    rand::random::<u64>().max(1)
}

/// Decides from the trace id alone, so that every process that begins from the same id decides alike.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits of an id are random enough to draw from"
)]
fn sampled(trace_id: u128, ratio: f64) -> bool {
    const BITS: u32 = 53;
    let draw = (trace_id & ((1 << BITS) - 1)) as f64 / (1_u64 << BITS) as f64;
    draw < ratio
}

/// Reads lower-case hexadecimal digits, which is all that the standard allows.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(nibble))
    })
}
