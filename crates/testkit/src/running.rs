//! One service in the test's own process, on a real socket.

use std::{future::Future, net::Ipv4Addr, time::Duration};

use chassis::lifecycle::Lifecycle;
use serde_json::Value;
use tokio::net::TcpListener;

/// How long an asynchronous effect may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a reply may take: a service answers long before, if only that it cannot.
const REPLY: Duration = Duration::from_mins(1);

/// A running service; dropped, it is asked to stop.
pub struct Running {
    /// Where it serves, without a final slash.
    pub url: String,
    /// A client that keeps connections.
    pub client: reqwest::Client,
    life: Lifecycle,
}

impl Running {
    /// Stops the service and waits for its end.
    pub async fn stop(self) {
        self.life.stop();
        self.life.finish().await;
    }

    /// The URL of a path that begins with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The lifecycle that the service runs under.
    pub fn life(&self) -> &Lifecycle {
        &self.life
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.life.stop();
    }
}

/// Starts a service on a free port and returns once it is ready.
pub async fn serve<F>(run: impl FnOnce(TcpListener, Lifecycle) -> F) -> Running
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port is free");
    let url = format!(
        "http://{}",
        listener
            .local_addr()
            .expect("a bound listener has an address")
    );
    let life = Lifecycle::new();
    let service = run(listener, life.clone());
    let stopping = life.clone();
    life.spawn("service under test", async move {
        service.await?;
        stopping.stopping().await;
        Ok(())
    });
    let running = Running {
        url,
        client: reqwest::Client::builder()
            .timeout(REPLY)
            .build()
            .expect("a client can be made"),
        life,
    };
    eventually("the service is ready", async || {
        assert!(
            !running.life.is_stopping(),
            "the service stopped while starting; its log says why"
        );
        let reply = running
            .client
            .get(running.at("/readyz"))
            .send()
            .await
            .ok()?;
        reply.status().is_success().then_some(())
    })
    .await;
    running
}

/// Asks again until there is an answer; an asynchronous effect has no other end to wait for.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// The stable code of a problem reply, after checking that it is one.
pub async fn problem_code(reply: reqwest::Response) -> String {
    let status = reply.status().as_u16();
    let kind = reply
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let body: Value = reply.json().await.expect("a problem is JSON");
    assert_eq!(kind, "application/problem+json", "{status}: {body}");
    assert_eq!(body["status"], status, "{body}");
    body["code"]
        .as_str()
        .expect("a problem has a code")
        .to_owned()
}
