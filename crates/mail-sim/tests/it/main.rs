//! The mailbox as a real process, filled over real SMTP.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor, transport::smtp::PoolConfig,
};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::{net::TcpSocket, task::JoinSet, time::timeout};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

struct Mailbox {
    process: Child,
    http: SocketAddr,
    smtp: SocketAddr,
    // Bound but not listening: nobody else is given these ports while the test runs.
    _ports: [TcpSocket; 2],
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseaddr(true)
        .expect("the port can be shared with the mailbox");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let address = socket.local_addr().expect("the address of the port");
    (socket, address)
}

fn command(http: SocketAddr, smtp: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mail-sim"));
    command
        .env("LISTEN", http.to_string())
        .env("SMTP_LISTEN", smtp.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

impl Mailbox {
    async fn start() -> Self {
        let (first, http) = port();
        let (second, smtp) = port();
        let process = command(http, smtp).spawn().expect("the mailbox starts");
        let mailbox = Self {
            process,
            http,
            smtp,
            _ports: [first, second],
        };
        let ready = async {
            while mailbox
                .get("/readyz")
                .await
                .is_none_or(|(status, _)| status != StatusCode::OK)
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, ready)
            .await
            .expect("the mailbox is ready");
        mailbox
    }

    async fn get(&self, path: &str) -> Option<(StatusCode, Vec<u8>)> {
        let response = reqwest::get(format!("http://{}{path}", self.http))
            .await
            .ok()?;
        let status = response.status();
        Some((status, response.bytes().await.ok()?.to_vec()))
    }

    fn transport(&self) -> AsyncSmtpTransport<Tokio1Executor> {
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.smtp.ip().to_string())
            .port(self.smtp.port())
            .pool_config(PoolConfig::new().max_size(8))
            .build()
    }

    /// The list of mails once it has `count` entries.
    async fn mails(&self, count: usize) -> Vec<Value> {
        let full = async {
            loop {
                let (_, body) = self
                    .get("/api/messages")
                    .await
                    .expect("the mailbox answers");
                let mails: Vec<Value> = serde_json::from_slice(&body).expect("a list");
                if mails.len() >= count {
                    return mails;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, full).await.expect("every mail arrives")
    }
}

fn mail(subject: &str) -> Message {
    Message::builder()
        .from(
            "CareForAll <thanks@careforall.example>"
                .parse()
                .expect("an address"),
        )
        .to("Ada <ada@example.org>".parse().expect("an address"))
        .subject(subject)
        .body(format!("Dear Ada, this is {subject}."))
        .expect("a mail")
}

#[tokio::test]
async fn a_mail_can_be_listed_and_read() {
    let mailbox = Mailbox::start().await;
    mailbox
        .transport()
        .send(mail("Thank you"))
        .await
        .expect("the mail is taken");
    let mails = mailbox.mails(1).await;
    assert_eq!(mails[0]["subject"], "Thank you");
    assert_eq!(mails[0]["to"][0]["email"], "ada@example.org");
    assert_eq!(mails[0]["from"]["email"], "thanks@careforall.example");
    assert_eq!(mails[0]["envelope_recipients"][0], "ada@example.org");
    let path = format!("/api/message/{}", mails[0]["id"].as_str().expect("an id"));
    let (status, body) = mailbox.get(&path).await.expect("the mailbox answers");
    let whole: Value = serde_json::from_slice(&body).expect("a mail");
    assert_eq!(status, StatusCode::OK);
    assert!(
        whole["text"]
            .as_str()
            .is_some_and(|text| text.contains("Dear Ada"))
    );
    let unknown = "/api/message/00000000-0000-4000-8000-000000000000";
    assert_eq!(
        mailbox.get(unknown).await.expect("an answer").0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn no_mail_of_a_burst_is_lost() {
    const BURST: usize = 400;
    let mailbox = Mailbox::start().await;
    let transport = mailbox.transport();
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let transport = transport.clone();
        senders.spawn(async move {
            for number in (sender..BURST).step_by(8) {
                transport
                    .send(mail(&format!("mail {number}")))
                    .await
                    .expect("the mail is taken");
            }
        });
    }
    senders.join_all().await;
    let mails = mailbox.mails(BURST).await;
    let mut subjects: Vec<_> = mails
        .iter()
        .map(|mail| mail["subject"].to_string())
        .collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), BURST);
}

#[tokio::test]
async fn no_address_is_logged() {
    let mut mailbox = Mailbox::start().await;
    mailbox
        .transport()
        .send(mail("Thank you"))
        .await
        .expect("the mail is taken");
    mailbox.mails(1).await;
    mailbox.process.kill().expect("the mailbox runs");
    let mut log = String::new();
    let mut output = mailbox.process.stdout.take().expect("its output is kept");
    std::io::Read::read_to_string(&mut output, &mut log).expect("the log is text");
    assert!(!log.contains("ada@example.org"), "{log}");
}

#[tokio::test]
async fn the_health_flag_tells_whether_it_runs() {
    let mailbox = Mailbox::start().await;
    let ask = |http| {
        command(http, mailbox.smtp)
            .arg("--health")
            .status()
            .expect("it runs")
            .success()
    };
    assert!(ask(mailbox.http));
    let (_unused, nobody) = port();
    assert!(!ask(nobody));
}
