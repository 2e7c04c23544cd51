//! What each of our processes is told through its environment.

use std::path::Path;

use super::{DatabaseUrl, Ports, Secrets};

/// The seven services, in the order of the architecture.
pub const SERVICES: [&str; 7] = [
    "gateway",
    "user",
    "campaign",
    "pledge",
    "payment",
    "totals",
    "notification",
];

/// The outside world on the machine on your desk.
pub const SIMULATORS: [&str; 2] = ["psp-sim", "mail-sim"];

/// The event types that the provider is asked to send: those that move a payment.
const PSP_EVENTS: [&str; 12] = [
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
];

/// The facts that the environments are made from.
pub(super) struct Facts<'a> {
    pub ports: &'a Ports,
    pub secrets: &'a Secrets,
    pub run_dir: &'a Path,
    pub database_url: &'a DatabaseUrl,
    pub redis_url: &'a str,
    pub brokers: &'a str,
    pub topic_prefix: &'a str,
    pub partitions: u32,
    pub limits: bool,
    /// Whether a power cut may lose nothing.
    pub durable: bool,
    /// The base URLs of every instance of a service.
    pub upstreams: &'a dyn Fn(&str) -> Vec<String>,
}

type Variables = Vec<(String, String)>;

impl Facts<'_> {
    /// The environment of one instance of a service or simulator.
    pub fn of(&self, service: &str, instance: &str, port: u16) -> Variables {
        let mut env = Variables::new();
        add(&mut env, "LISTEN", format!("127.0.0.1:{port}"));
        // The cores are shared with PostgreSQL and Kafka; the two services on the hot path get a second thread.
        let threads = if matches!(service, "gateway" | "pledge") {
            "2"
        } else {
            "1"
        };
        add(&mut env, "TOKIO_WORKER_THREADS", threads);
        add(&mut env, "RUST_LOG", "info");
        // The gateway notices at once that a process on the same machine has gone.
        add(&mut env, "STOP_AFTER_MS", "0");
        // All threads share one heap, those of Kafka's client, which is C, another.
        add(&mut env, "_RJEM_MALLOC_CONF", "narenas:1");
        add(&mut env, "MALLOC_ARENA_MAX", "1");
        match service {
            "psp-sim" => self.psp(&mut env),
            "mail-sim" => add(
                &mut env,
                "SMTP_LISTEN",
                format!("127.0.0.1:{}", self.ports.smtp),
            ),
            "gateway" => self.gateway(&mut env),
            _ => self.behind_the_gateway(&mut env, service, instance),
        }
        // A person who sets the level of the logs means it for every process.
        env.retain(|(name, _)| name != "RUST_LOG" || crate::settings::var("RUST_LOG").is_none());
        env
    }

    fn gateway(&self, env: &mut Variables) {
        add(env, "JWT_PUBLIC_KEYS", &self.secrets.jwt_public_keys);
        for service in SERVICES.iter().filter(|name| **name != "gateway") {
            let name = format!("UPSTREAM_{}", service.to_uppercase());
            add(env, &name, (self.upstreams)(service).join(","));
        }
        let allow = if self.limits {
            ""
        } else {
            "127.0.0.0/8,::1/128"
        };
        add(env, "RATE_LIMIT_ALLOW", allow);
        add(env, "TRUSTED_PROXIES", "");
    }

    fn behind_the_gateway(&self, env: &mut Variables, service: &str, instance: &str) {
        if let Some((role, password)) = self.secrets.role(service) {
            add(
                env,
                "DATABASE_URL",
                self.database_url.with_role(role, password).to_string(),
            );
        }
        add(env, "DATABASE_POOL", "5");
        add(env, "REDIS_URL", self.redis_url);
        add(env, "KAFKA_BROKERS", self.brokers);
        add(env, "KAFKA_TOPIC_PREFIX", self.topic_prefix);
        add(env, "KAFKA_PARTITIONS", self.partitions.to_string());
        add(env, "KAFKA_REPLICATION", "1");
        // A restarted instance gets its partitions back at once instead of waiting out the session of the killed one.
        add(env, "KAFKA_INSTANCE", instance);
        add(env, "JWT_PUBLIC_KEYS", &self.secrets.jwt_public_keys);
        let gateway = format!("http://127.0.0.1:{}", self.ports.gateway);
        match service {
            "user" => {
                add(env, "JWT_PRIVATE_KEY", &self.secrets.jwt_private_key);
                add(env, "DONOR_REF_SECRET", &self.secrets.donor_ref_secret);
                add(env, "ADMIN_EMAIL", &self.secrets.admin_email);
                add(env, "ADMIN_PASSWORD", &self.secrets.admin_password);
            }
            "pledge" => {
                add(env, "TOKEN_SECRET", &self.secrets.token_secret);
                add(env, "DONOR_REF_SECRET", &self.secrets.donor_ref_secret);
                add(env, "PUBLIC_URL", gateway);
            }
            "payment" => {
                let psp = format!("http://127.0.0.1:{}", self.ports.psp);
                add(env, "TOKEN_SECRET", &self.secrets.token_secret);
                add(env, "SERVICE_SECRET", &self.secrets.service_secret);
                add(env, "PSP_CHECKOUT_URL", format!("{psp}/pay"));
                add(env, "PSP_URL", psp);
                // The simulator bears whatever this machine can ask of it.
                add(env, "PSP_RATE", "1000000");
                add(env, "PSP_SECRET_KEY", &self.secrets.psp_secret_key);
                add(env, "PSP_WEBHOOK_SECRET", &self.secrets.psp_webhook_secret);
                add(env, "PUBLIC_URL", gateway);
            }
            "totals" => {
                add(env, "SERVICE_SECRET", &self.secrets.service_secret);
                add(env, "PAYMENT_URL", (self.upstreams)("payment").join(","));
            }
            "notification" => {
                add(
                    env,
                    "SMTP_URL",
                    format!("smtp://127.0.0.1:{}", self.ports.smtp),
                );
                add(env, "MAIL_FROM", "CareForAll <thanks@careforall.example>");
            }
            _ => {}
        }
    }

    fn psp(&self, env: &mut Variables) {
        let webhooks = format!(
            "http://127.0.0.1:{}/api/webhooks/psp/stripe",
            self.ports.gateway
        );
        add(env, "PSP_SECRET_KEY", &self.secrets.psp_secret_key);
        add(env, "PSP_WEBHOOK_SECRET", &self.secrets.psp_webhook_secret);
        add(env, "PSP_WEBHOOK_URL", webhooks);
        add(env, "PSP_WEBHOOK_EVENTS", PSP_EVENTS.join(","));
        let ledger = self.run_dir.join("psp/ledger.jsonl");
        add(env, "PSP_LEDGER", ledger.to_string_lossy());
        add(env, "PSP_DURABLE", self.durable.to_string());
    }
}

fn add(env: &mut Variables, name: &str, value: impl Into<String>) {
    env.push((name.to_owned(), value.into()));
}
