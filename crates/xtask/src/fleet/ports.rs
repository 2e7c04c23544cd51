//! Ports: the fixed ones that people know, free ones for tests, and who holds one that is taken.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::identity;

/// Ports of our own processes.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The gateway.
    pub gateway: u16,
    /// The user service.
    pub user: u16,
    /// The campaign service.
    pub campaign: u16,
    /// The pledge service.
    pub pledge: u16,
    /// The payment service.
    pub payment: u16,
    /// The totals service.
    pub totals: u16,
    /// The notification service.
    pub notification: u16,
    /// The payment provider's simulator.
    pub psp: u16,
    /// The mailbox's HTTP side.
    pub mail: u16,
    /// The mailbox's SMTP side.
    pub smtp: u16,
    /// For further replicas, taken in order.
    pub spare: Vec<u16>,
    lease: Option<Arc<Lease>>,
}

impl Ports {
    /// The ports that the README names, moved up by `offset`.
    pub fn fixed(offset: u16) -> Self {
        Self {
            gateway: 8080 + offset,
            user: 3001 + offset,
            campaign: 3002 + offset,
            pledge: 3003 + offset,
            payment: 3004 + offset,
            totals: 3005 + offset,
            notification: 3006 + offset,
            psp: 3900 + offset,
            mail: 1080 + offset,
            smtp: 1025 + offset,
            spare: Vec::new(),
            lease: None,
        }
    }

    /// Ports that nobody else uses, for as long as this value lives.
    pub fn free() -> Result<Self> {
        let lease = Lease::take()?;
        let p = &lease.ports;
        Ok(Self {
            gateway: p[0],
            user: p[1],
            campaign: p[2],
            pledge: p[3],
            payment: p[4],
            totals: p[5],
            notification: p[6],
            psp: p[7],
            mail: p[8],
            smtp: p[9],
            spare: p[10..].to_vec(),
            lease: Some(Arc::new(lease)),
        })
    }

    /// Whether nobody else may take these ports.
    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }
}

/// Ports of PostgreSQL, Redis and Kafka.
#[derive(Clone, Debug)]
pub struct BackendPorts {
    /// PostgreSQL.
    pub postgres: u16,
    /// Redis.
    pub redis: u16,
    /// Kafka, for clients.
    pub kafka: u16,
    /// Kafka, for its own controller.
    pub controller: u16,
    lease: Option<Arc<Lease>>,
}

impl BackendPorts {
    /// Ports next to the well-known ones, so that a server of the machine itself is not in the way, moved up by `offset`.
    pub fn fixed(offset: u16) -> Self {
        Self {
            postgres: 15432 + offset,
            redis: 16379 + offset,
            kafka: 19092 + offset,
            controller: 19093 + offset,
            lease: None,
        }
    }

    /// Ports that nobody else uses, for as long as this value lives.
    pub fn free() -> Result<Self> {
        let lease = Lease::take()?;
        Ok(Self {
            postgres: lease.ports[0],
            redis: lease.ports[1],
            kafka: lease.ports[2],
            controller: lease.ports[3],
            lease: Some(Arc::new(lease)),
        })
    }

    /// Whether nobody else may take these ports.
    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }
}

/// Sixteen ports of our own. They lie below the range from which the system gives ports to outgoing connections, so a
/// stopped server finds its port free again; an abstract socket, which ends with its process, keeps other fleets away.
#[derive(Debug)]
struct Lease {
    ports: Vec<u16>,
    _claim: UnixListener,
}

impl Lease {
    const FIRST: u16 = 20_000;
    const SIZE: u16 = 16;
    const BLOCKS: u16 = 700;

    fn take() -> Result<Self> {
        (0..Self::BLOCKS)
            .find_map(Self::claim)
            .context("no free block of ports between 20000 and 31200")
    }

    fn claim(block: u16) -> Option<Self> {
        let name = format!("careforall-ports-{block}");
        let claim = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?;
        let first = Self::FIRST + block * Self::SIZE;
        let ports: Vec<u16> = (first..first + Self::SIZE).collect();
        ports.iter().all(|port| is_free(*port)).then_some(Self {
            ports,
            _claim: claim,
        })
    }
}

/// Whether a server could listen on this port of loopback now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// An error that names the port, who wants it and, if that can be known, who holds it.
pub fn ensure_free(wanted_by: &str, port: u16) -> Result<()> {
    let Err(taken) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else {
        return Ok(());
    };
    match holder(port) {
        Some((pid, command)) => bail!(
            "port {port}, wanted by {wanted_by}, is held by process {pid} ({command}); stop it, or try another port with --port-offset"
        ),
        None => bail!(
            "port {port}, wanted by {wanted_by}, cannot be used ({taken}); free it, or try another port with --port-offset"
        ),
    }
}

/// The process that listens on this port, and its command line, where we may know it.
pub fn holder(port: u16) -> Option<(i32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let pid = identity::pids().find(|pid| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|link| {
                inodes
                    .iter()
                    .any(|inode| link.as_os_str() == inode.as_str())
            })
    })?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let short: String = command.trim().chars().take(80).collect();
    Some((pid, short))
}

/// The inodes of the sockets that listen on the port, from the kernel's table: column 1 is the local address, 3 the
/// state (`0A` listens), 9 the inode.
fn listening(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|f| f.len() > 9 && f[1].ends_with(&suffix) && f[3] == "0A")
        .map(|f| f[9].to_owned())
        .collect()
}
