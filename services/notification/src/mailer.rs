//! Mail over SMTP.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, SinglePart},
    transport::smtp::{Error as SmtpError, PoolConfig},
};
use secrecy::{ExposeSecret, SecretString};

use crate::template::Letter;

/// How long connecting may take. The library's timeout covers no more than that when it is asynchronous.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a whole mail may take, from connecting to the server's acceptance.
const WHOLE: Duration = Duration::from_secs(10);
/// Connections at once; also how many mails are sent at once.
pub const CONNECTIONS: u32 = 16;

/// The way to the mail server; clones share its connections.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// A mail ready to be addressed.
pub struct Mail<'a> {
    /// Whom it greets.
    pub name: &'a str,
    /// Where it goes.
    pub email: &'a str,
    /// What makes a second copy recognisable, without its brackets.
    pub message_id: String,
    /// What it says.
    pub letter: Letter,
    /// The date that it shows.
    pub at: DateTime<Utc>,
}

/// Why a mail was not taken. The server's own words stay out of it, since they tend to repeat the address.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A later attempt may succeed.
    Later(String),
    /// No attempt ever will.
    Never(String),
}

impl Mailer {
    /// Prepares the way to the server at `url`; nothing is contacted yet.
    ///
    /// # Errors
    /// The URL or the sender's address is not one.
    pub fn new(url: &SecretString, from: &str) -> anyhow::Result<Self> {
        // The cause would repeat the URL, and with it the password.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(|_| anyhow::anyhow!("SMTP_URL is not the URL of a mail server"))?;
        let pool = PoolConfig::new()
            .max_size(CONNECTIONS)
            .idle_timeout(Duration::from_secs(30));
        let transport = builder.timeout(Some(CONNECT)).pool_config(pool).build();
        let from = from.parse().context("MAIL_FROM is not an address")?;
        Ok(Self { transport, from })
    }

    /// Whether the server answers.
    pub async fn healthy(&self) -> bool {
        self.transport.test_connection().await.unwrap_or(false)
    }

    /// Sends a mail, and answers once the server has taken it.
    ///
    /// # Errors
    /// [`Refusal`], which says whether another attempt makes sense.
    pub async fn send(&self, mail: Mail<'_>) -> Result<(), Refusal> {
        let message = self.message(mail)?;
        match tokio::time::timeout(WHOLE, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(Refusal::Later("timeout".to_owned())),
        }
    }

    fn message(&self, mail: Mail<'_>) -> Result<Message, Refusal> {
        let broken = |what: &str| Refusal::Never(format!("{what} refused"));
        // The library encodes what it is given; that nothing of ours can begin a header does not hang on that.
        if mail.name.chars().any(char::is_control) {
            return Err(broken("name"));
        }
        let address: Address = mail.email.parse().map_err(|_| broken("address"))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(mail.name.to_owned()), address))
            .subject(mail.letter.subject)
            .message_id(Some(format!("<{}>", mail.message_id)))
            .date(mail.at.into())
            .singlepart(SinglePart::plain(mail.letter.body))
            .map_err(|_| broken("message"))
    }
}

/// 5xx is for ever, unless it is about our own login at the server, which an operator will mend.
fn refusal(error: &SmtpError) -> Refusal {
    let Some(code) = error.status() else {
        let what = if error.is_timeout() {
            "timeout"
        } else if error.is_tls() {
            "tls failed"
        } else {
            "connection failed"
        };
        return Refusal::Later(what.to_owned());
    };
    let said = format!("smtp {code}");
    let ours = matches!(u16::from(code), 530 | 534 | 535 | 538);
    if error.is_permanent() && !ours {
        Refusal::Never(said)
    } else {
        Refusal::Later(said)
    }
}
