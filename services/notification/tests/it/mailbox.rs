//! MailCrab's mail server at an address that stays the same while it is down.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use chassis::lifecycle::Lifecycle;
use mailcrab::MailMessage;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::broadcast,
};
use tokio_util::sync::CancellationToken;

/// A mail as its reader sees it.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub name: String,
    pub subject: String,
    pub text: String,
    pub raw: String,
}

pub struct Mailbox {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Mail>>>,
    server: CancellationToken,
    life: Lifecycle,
    /// Holds the port at another loopback address, so that nobody else is given it while the server is down.
    _port: TcpListener,
}

impl Mailbox {
    /// An address where nobody answers yet.
    pub fn down() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let number = port
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), number);
        Self {
            address,
            received: Arc::default(),
            server: CancellationToken::new(),
            life: Lifecycle::new(),
            _port: port,
        }
    }

    /// A server that takes every mail.
    pub async fn up() -> Self {
        let mailbox = Self::down();
        mailbox.start().await;
        mailbox
    }

    pub async fn start(&self) {
        let (sender, mut mails) = broadcast::channel::<MailMessage>(4096);
        let received = self.received.clone();
        self.life.track(async move {
            while let Ok(mail) = mails.recv().await {
                received
                    .lock()
                    .expect("nobody panics with it")
                    .push(Mail::from(mail));
            }
        });
        self.serve(sender).await;
    }

    async fn serve(&self, sender: broadcast::Sender<MailMessage>) {
        let (address, token) = (self.address, self.server.clone());
        self.life.track(mailcrab::mail_server(
            address.ip(),
            address.port(),
            sender,
            false,
            token,
        ));
        testkit::eventually("the mail server listens", async || {
            TcpStream::connect(address).await.ok()
        })
        .await;
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.received.lock().expect("nobody panics with it").clone()
    }

    /// Waits for a number of mails.
    pub async fn wait_for(&self, count: usize) -> Vec<Mail> {
        testkit::eventually("the mails have come", async || {
            Some(self.mails()).filter(|mails| mails.len() >= count)
        })
        .await
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.server.cancel();
    }
}

impl From<MailMessage> for Mail {
    fn from(mail: MailMessage) -> Self {
        let raw = mail.raw_bytes().expect("a mail has its source");
        let shown = serde_json::to_value(&mail).expect("a mail is JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            to: text(&shown["to"][0]["email"]),
            name: text(&shown["to"][0]["name"]),
            subject: text(&shown["subject"]),
            text: text(&shown["text"]),
            raw: String::from_utf8(raw).expect("our mails are ASCII on the wire"),
        }
    }
}

/// A mail server that answers every recipient with `code`, and repeats the address as many do.
pub struct Refusing {
    address: SocketAddr,
    life: Lifecycle,
}

#[derive(Clone)]
struct Recipients(u16);

impl mailin::Handler for Recipients {
    fn rcpt(&mut self, to: &str) -> mailin::Response {
        mailin::Response::custom(self.0, format!("5.1.1 <{to}> is not welcome"))
    }
}

impl Refusing {
    pub async fn with(code: u16) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let life = Lifecycle::new();
        let (accepting, stopping) = (life.clone(), life.clone());
        life.track(async move {
            let accept = async {
                while let Ok((stream, peer)) = listener.accept().await {
                    let session =
                        mailin::SessionBuilder::new("refusing").build(peer.ip(), Recipients(code));
                    accepting.track(converse(stream, session));
                }
            };
            tokio::select! {
                () = accept => {}
                () = stopping.stopping() => {}
            }
        });
        Self { address, life }
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.life.stop();
    }
}

/// Speaks SMTP until either side hangs up.
async fn converse(
    stream: TcpStream,
    mut session: mailin::Session<Recipients>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut answer = session.greeting();
    loop {
        if answer.action != mailin::Action::NoReply {
            stream.write_all(&answer.buffer()?).await?;
        }
        let mut line = Vec::new();
        if answer.action == mailin::Action::Close || stream.read_until(b'\n', &mut line).await? == 0
        {
            return Ok(());
        }
        answer = session.process(&line);
    }
}
