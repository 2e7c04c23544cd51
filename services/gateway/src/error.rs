//! Every refusal of the gateway's own, with its stable code.

use chassis::http::Problem;
use http::{HeaderValue, StatusCode, header};

/// Why the gateway itself refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No service owns the path.
    #[error("there is nothing here")]
    NotFound,
    /// No service is asked with this method.
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    /// The body is above the route's limit.
    #[error("the body is larger than this route accepts")]
    BodyTooLarge,
    /// The client broke off in the middle of its body.
    #[error("the body could not be read to its end")]
    BodyUnreadable,
    /// The client did not send its body in time.
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    /// The client has used up what it may ask, and may ask again after so many seconds.
    #[error("too many requests, try again in {0} s")]
    RateLimited(u32),
    /// Nothing was sent, because no upstream can be reached.
    #[error("the service cannot be reached just now, nothing was done, try again")]
    Unavailable,
    /// Nothing was sent, because every upstream has as many requests as it can take.
    #[error("the service has too much to do just now, nothing was done, try again")]
    Overloaded,
    /// The upstream broke off before it answered.
    #[error(
        "the service broke off, the outcome is not known; repeat the request with the same idempotency key"
    )]
    Closed,
    /// The upstream did not answer in time.
    #[error("the service took too long, the outcome is not known")]
    Timeout,
    /// There are as many WebSockets as there may be.
    #[error("there are too many open sockets, try again later")]
    TooManySockets,
    /// This client has as many WebSockets as one may have.
    #[error("there are too many open sockets from this address")]
    TooManyOwnSockets,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        use StatusCode as S;
        let (status, code, retry) = match error {
            Error::NotFound => (S::NOT_FOUND, "not_found", None),
            Error::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "method_not_allowed", None),
            Error::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body_too_large", None),
            Error::BodyUnreadable => (S::BAD_REQUEST, "unreadable_body", None),
            Error::BodyTooSlow => (S::REQUEST_TIMEOUT, "body_too_slow", None),
            Error::RateLimited(seconds) => (S::TOO_MANY_REQUESTS, "rate_limited", Some(seconds)),
            Error::Unavailable => (S::SERVICE_UNAVAILABLE, "upstream_unavailable", Some(1)),
            Error::Overloaded => (S::SERVICE_UNAVAILABLE, "upstream_overloaded", Some(1)),
            Error::Closed => (S::BAD_GATEWAY, "upstream_closed", Some(1)),
            Error::Timeout => (S::GATEWAY_TIMEOUT, "upstream_timeout", None),
            Error::TooManySockets => (S::SERVICE_UNAVAILABLE, "too_many_sockets", Some(10)),
            Error::TooManyOwnSockets => (S::TOO_MANY_REQUESTS, "too_many_sockets", Some(10)),
        };
        let problem = Self::new(status, code, error.to_string());
        let problem = retry.into_iter().fold(problem, Self::retry_after);
        match error {
            Error::MethodNotAllowed => problem.header(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ),
            // The connection ends with this reply, since the rest of the body is not read. A client that is not told
            // puts its next request on it and never gets an answer.
            Error::BodyTooLarge | Error::BodyUnreadable | Error::BodyTooSlow => {
                problem.header(header::CONNECTION, HeaderValue::from_static("close"))
            }
            _ => problem,
        }
    }
}
