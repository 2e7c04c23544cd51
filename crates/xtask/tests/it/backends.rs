//! The launcher on real PostgreSQL, Redis and Kafka.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use xtask::fleet::{BackendOptions, Backends, DatabaseUrl, Psql, Secrets, Server, bootstrap};
use xtask::settings;

use crate::helpers::Scratch;

fn start(scratch: &Scratch) -> Backends {
    Backends::start(&BackendOptions::for_test(scratch.path().to_owned()).unwrap()).unwrap()
}

fn restarted_in_every_way(server: &mut Server) {
    let first = server.pid().unwrap();
    server.restart().unwrap();
    let second = server.pid().unwrap();
    assert_ne!(first, second, "{} is another process now", server.name);

    server.kill();
    assert!(!server.is_running(), "{} is dead", server.name);
    assert!(!server.probe.passes(), "{} answers no more", server.name);
    server.start().unwrap();
    assert!(server.probe.passes(), "{} answers again", server.name);
}

fn redis(url: &str, command: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://")).unwrap();
    stream
        .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.strip_suffix("+OK\r\n").unwrap().trim_end().to_owned()
}

/// One request in Kafka's own protocol: its key and version, then its body; the reply without length and correlation id.
fn kafka(server: &Server, key: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(&server.url).unwrap();
    let header = [0, key, 0, version, 0, 0, 0, 7, 0, 1, b'x'];
    let length = u32::try_from(header.len() + body.len()).unwrap();
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(&header).unwrap();
    stream.write_all(body).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut reply).unwrap();
    reply.split_off(4)
}

/// CreateTopics, version 2: one topic with one partition and one replica.
fn create_topic(server: &Server, name: &[u8]) {
    let length = u8::try_from(name.len()).unwrap();
    let mut body = vec![0, 0, 0, 1, 0, length];
    body.extend_from_slice(name);
    // One partition, one replica, no assignments, no settings; 10 s; not only validated.
    body.extend_from_slice(&[
        0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x27, 0x10, 0,
    ]);
    let reply = kafka(server, 19, 2, &body);
    let error = &reply[4 + 4 + 2 + name.len()..][..2];
    assert_eq!(error, [0, 0], "the topic is made");
}

/// Metadata, version 1, of all topics.
fn has_topic(server: &Server, name: &[u8]) -> bool {
    let reply = kafka(server, 3, 1, &[0xff; 4]);
    reply.windows(name.len()).any(|part| part == name)
}

#[test]
fn data_survives_an_orderly_restart_and_a_power_cut() {
    let scratch = Scratch::new("backends");
    let mut backends = start(&scratch);

    let url = backends.database_url.clone();
    let psql = Psql::new(&url).unwrap();
    psql.query("create table gift (amount bigint)").unwrap();
    psql.query("insert into gift values (2500)").unwrap();
    restarted_in_every_way(backends.postgres());
    assert_eq!(psql.query("select amount from gift").unwrap(), "2500");

    let url = backends.redis_url.clone();
    assert_eq!(redis(&url, "SET gift 2500"), "+OK");
    backends.redis().restart().unwrap();
    assert_eq!(
        redis(&url, "GET gift"),
        "$4\r\n2500",
        "an orderly end saves the cache"
    );
    restarted_in_every_way(backends.redis());

    let kafka = backends.kafka();
    assert!(!has_topic(kafka, b"gifts"));
    create_topic(kafka, b"gifts");
    restarted_in_every_way(kafka);
    assert!(has_topic(kafka, b"gifts"));

    let identities: Vec<_> = backends.servers().filter_map(Server::identity).collect();
    assert_eq!(identities.len(), 3);
    drop(backends);
    for identity in identities {
        assert!(!identity.is_alive(), "nothing outlives its owner");
    }
}

#[test]
fn every_service_reaches_its_own_schema_and_no_other() {
    let scratch = Scratch::new("bootstrap");
    let mut options = BackendOptions::for_test(scratch.path().to_owned()).unwrap();
    let secrets = Secrets::load_or_create(&scratch.path().join("secrets")).unwrap();
    options.password = Some(secrets.postgres.clone());
    // Only PostgreSQL is wanted here.
    options.attach.redis_url = Some(String::new());
    options.attach.kafka = Some(String::new());
    let backends = Backends::start(&options).unwrap();
    let admin = &backends.database_url;
    let root = settings::workspace_root().unwrap();
    Psql::new(admin)
        .unwrap()
        .query("create database careforall")
        .unwrap();
    let url = admin.with_database("careforall");
    bootstrap(&root, &url, &secrets).unwrap();
    bootstrap(&root, &url, &secrets).unwrap();

    for service in [
        "user",
        "campaign",
        "pledge",
        "payment",
        "totals",
        "notification",
    ] {
        let (role, password) = secrets.role(service).unwrap();
        let psql = Psql::new(&url.with_role(role, password)).unwrap();
        psql.query("create table thing (id int)").unwrap();
        let schema = psql.query("select schemaname from pg_tables where tablename = 'thing' and tableowner = current_user");
        assert_eq!(schema.unwrap(), role);
        let other = if role == "totals" { "pledge" } else { "totals" };
        let peek = psql
            .query(&format!("create table {other}.thing2 (id int)"))
            .unwrap_err();
        assert!(
            format!("{peek:#}").contains("permission denied"),
            "{peek:#}"
        );
        psql.query("create table public.thing (id int)")
            .unwrap_err();
    }
    let wrong: DatabaseUrl = url.with_role("pledge", "wrong");
    let refused = Psql::new(&wrong).unwrap().query("select 1").unwrap_err();
    assert!(
        format!("{refused:#}").contains("password authentication failed"),
        "{refused:#}"
    );
}

#[test]
fn databases_of_one_cluster_are_prepared_at_the_same_time() {
    let scratch = Scratch::new("concurrent");
    let mut options = BackendOptions::for_test(scratch.path().to_owned()).unwrap();
    options.attach.redis_url = Some(String::new());
    options.attach.kafka = Some(String::new());
    let backends = Backends::start(&options).unwrap();
    let admin = Psql::new(&backends.database_url).unwrap();
    let root = settings::workspace_root().unwrap();
    let secrets = Secrets::load_or_create(&scratch.path().join("secrets")).unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let url = backends.database_url.with_database(&format!("fleet_{n}"));
            let (admin, root, secrets) = (&admin, &root, &secrets);
            scope.spawn(move || {
                admin.query(&format!("create database fleet_{n}")).unwrap();
                bootstrap(root, &url, secrets).unwrap();
            });
        }
    });
}

#[test]
fn a_server_that_cannot_start_shows_the_end_of_its_log() {
    let scratch = Scratch::new("broken");
    let mut options = BackendOptions::for_test(scratch.path().to_owned()).unwrap();
    options.attach.database_url = Some("postgres://nobody@127.0.0.1/none".to_owned());
    options.attach.kafka = Some(String::new());
    let mut backends = Backends::start(&options).unwrap();
    let redis = backends.redis();
    redis.stop();
    redis.spec.args = vec!["--no-such-option".to_owned(), "1".to_owned()];
    let refused = format!("{:#}", redis.start().unwrap_err());
    assert!(refused.contains("redis ended at its start"), "{refused}");
    assert!(refused.contains("no-such-option"), "{refused}");
}

#[test]
fn a_second_start_and_a_taken_port_are_refused_by_name() {
    let scratch = Scratch::new("taken");
    let mut options = BackendOptions::for_test(scratch.path().to_owned()).unwrap();
    options.attach.database_url = Some("postgres://nobody@127.0.0.1/none".to_owned());
    options.attach.kafka = Some(String::new());
    let mut backends = Backends::start(&options).unwrap();
    let redis = backends.redis();
    let twice = redis.spawn().unwrap_err().to_string();
    assert!(twice.contains("redis runs already"), "{twice}");

    redis.stop();
    let port = redis.port();
    let _listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let taken = redis.spawn().unwrap_err().to_string();
    assert!(
        taken.contains(&format!("port {port}, wanted by redis")),
        "{taken}"
    );
    assert!(
        taken.contains(&format!("process {}", std::process::id())),
        "{taken}"
    );
}

#[test]
fn an_exit_by_itself_is_noticed() {
    let scratch = Scratch::new("exit");
    let mut options = BackendOptions::for_test(scratch.path().to_owned()).unwrap();
    options.attach.database_url = Some("postgres://nobody@127.0.0.1/none".to_owned());
    options.attach.kafka = Some(String::new());
    let mut backends = Backends::start(&options).unwrap();
    let redis = backends.redis();
    redis.identity().unwrap().signal(Signal::SIGABRT);
    let status = redis
        .wait_for_exit(std::time::Duration::from_secs(10))
        .unwrap();
    assert!(!status.success());
    assert!(!redis.is_running());
    redis.start().unwrap();
}
