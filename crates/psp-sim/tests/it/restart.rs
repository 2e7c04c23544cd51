use std::{
    io::Write,
    net::SocketAddr,
    process::{Child, Command},
};

use psp_sim::Config;
use serde_json::json;
use tokio::net::TcpSocket;

use crate::helpers::{Receiver, SECRET_KEY, Sim, WEBHOOK_SECRET, config, text};

#[tokio::test]
async fn a_restart_restores_intents_charges_and_events() {
    let sim = Sim::start().await;
    let (paid, held, declined) = (
        sim.intent("automatic").await,
        sim.intent("manual").await,
        sim.intent("automatic").await,
    );
    sim.confirm(&paid, "pm_card_visa").await.ok();
    sim.confirm(&held, "pm_card_mastercard").await.ok();
    sim.confirm(&declined, "pm_card_chargeDeclined")
        .await
        .refusal(402);
    let paths = [
        "/_sim/ledger".to_owned(),
        "/v1/payment_intents?limit=100".to_owned(),
        "/v1/charges?limit=100".to_owned(),
        "/v1/balance_transactions?limit=100".to_owned(),
        "/v1/events?limit=100".to_owned(),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(sim.get(path).await.text);
    }

    let sim = sim.restart().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(sim.get(path).await.text, before, "{path}");
    }
    sim.confirm(&paid, "pm_card_visa").await.refusal(400);
    assert_eq!(
        sim.confirm(&declined, "pm_card_visa").await.ok()["status"],
        "succeeded"
    );
    assert_eq!(
        sim.act(&held, "capture", &[]).await.ok()["status"],
        "succeeded"
    );
    assert_eq!(sim.charges().await.len(), 3);
}

#[tokio::test]
async fn webhooks_that_were_not_acknowledged_are_sent_after_a_restart() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let told = sim.intent("automatic").await;
    receiver.next().await;
    sim.until_idle().await;
    sim.sim("webhooks/pause", &().into()).await.ok();
    let untold = sim.intent("automatic").await;

    let sim = sim.restart().await;
    let first = receiver.next().await;
    assert_eq!(first.event()["data"]["object"]["id"], untold["id"]);
    assert_eq!(first.id(), sim.events(&untold).await[0].0);
    sim.until_idle().await;
    assert!(
        receiver.is_empty(),
        "what was acknowledged is not sent again"
    );
    assert_eq!(sim.events(&told).await.len(), 1);
}

#[tokio::test]
async fn a_line_cut_short_by_a_crash_is_dropped() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    sim.stop().await;
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(sim.ledger_file())
        .expect("the ledger");
    file.write_all(br#"{"fact":{"kind":"charge.capt"#)
        .expect("written");
    let sim = sim.restart().await;
    assert_eq!(
        sim.reload(&intent).await["status"],
        "requires_payment_method"
    );
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let sim = sim.restart().await;
    assert_eq!(sim.reload(&intent).await["status"], "succeeded");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_never_written_over() {
    let config = config();
    std::fs::write(&config.ledger, "not a ledger\n").expect("written");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let life = chassis::lifecycle::Lifecycle::new();
    let error = psp_sim::run(config.clone(), listener, life)
        .await
        .expect_err("it refuses to start");
    assert!(
        format!("{error:#}").contains("line 1 is not readable"),
        "{error:#}"
    );
    assert_eq!(
        std::fs::read_to_string(&config.ledger).expect("it is there"),
        "not a ledger\n"
    );
    std::fs::remove_file(&config.ledger).expect("removed");
}

#[tokio::test]
async fn two_processes_never_share_a_ledger() {
    let sim = Sim::start().await;
    sim.intent("automatic").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let life = chassis::lifecycle::Lifecycle::new();
    let config = Config {
        ..sim.config.clone()
    };
    let error = psp_sim::run(config, listener, life)
        .await
        .expect_err("it refuses to start");
    assert!(
        format!("{error:#}").contains("is in use by another process"),
        "{error:#}"
    );
}

#[tokio::test]
async fn the_ledger_is_on_disk_before_the_answer() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let lines = std::fs::read_to_string(sim.ledger_file()).expect("the ledger");
    let charge = sim.charges().await[0]["charge"].clone();
    assert!(
        lines
            .lines()
            .any(|line| line.contains(text(&charge)) && line.contains("charge.captured"))
    );
}

/// A real process, killed like by `kill -9` when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn process(config: &Config, listen: SocketAddr) -> Process {
    let process = Command::new(env!("CARGO_BIN_EXE_psp-sim"))
        .env("LISTEN", listen.to_string())
        .env("PSP_SECRET_KEY", SECRET_KEY)
        .env("PSP_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("PSP_LEDGER", &config.ledger)
        .spawn();
    Process(process.expect("the process starts"))
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_by_kill_9() {
    const PAYMENTS: usize = 20;
    // Bound but not listening: nobody else is given this port while the test runs.
    let port = TcpSocket::new_v4().expect("a socket");
    port.set_reuseaddr(true).expect("the port can be shared");
    port.bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let listen = port.local_addr().expect("its address");
    let mut sim = Sim::start().await;
    sim.stop().await;
    sim.url = format!("http://{listen}");
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("capture_method", "automatic"),
    ];
    let first = process(&sim.config, listen);
    sim.until_ready().await;
    let paid = futures::future::join_all((0..PAYMENTS).map(|number| {
        let (sim, form) = (&sim, &form);
        async move {
            let key = format!("pay:{number}");
            let answer = sim.post_with_key(&key, "/v1/payment_intents", form).await;
            sim.confirm(&answer.json(), "pm_card_visa").await.ok();
            (key, answer.text)
        }
    }))
    .await;
    drop(first);

    let _second = process(&sim.config, listen);
    sim.until_ready().await;
    assert_eq!(
        sim.ledger().await["totals"]["usd"]["captured"],
        json!(2500 * PAYMENTS)
    );
    for (key, text) in paid {
        let again = sim.post_with_key(&key, "/v1/payment_intents", &form).await;
        assert_eq!((again.replayed(), again.text), (true, text));
    }
    assert_eq!(sim.charges().await.len(), PAYMENTS);
}
