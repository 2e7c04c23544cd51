//! Each rule of the house on a bad sample, and all of them on the repository itself.

use xtask::settings;
use xtask::tidy::{self, Finding, Tree};

fn only(findings: &[Finding], path: &str, what: &str) {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].path, path);
    assert!(findings[0].what.contains(what), "{}", findings[0].what);
}

#[test]
fn the_repository_keeps_its_rules() {
    let tree = Tree::read(&settings::workspace_root().unwrap()).unwrap();
    let findings: Vec<String> = tidy::check(&tree).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

const MEMBER: &str = "
[package]
name = \"pledge\"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true
[lints]
workspace = true
[lib]
test = false
[[bin]]
name = \"pledge\"
test = false
[dependencies]
axum.workspace = true
";

#[test]
fn a_good_manifest_passes_and_each_fault_is_found() {
    let path = "services/pledge/Cargo.toml";
    let check = |manifest: &str| {
        tidy::manifests(&Tree::of([
            (path, manifest),
            ("services/user/Cargo.toml", ""),
        ]))
    };
    let of_pledge = |manifest: &str| -> Vec<Finding> {
        check(manifest)
            .into_iter()
            .filter(|finding| finding.path == path)
            .collect()
    };
    assert_eq!(of_pledge(MEMBER), []);
    let bad = [
        (
            "name = \"pledge\"\nversion",
            "name = \"gift\"\nversion",
            "called like its folder",
        ),
        (
            "edition.workspace = true",
            "edition = \"2024\"",
            "`package.edition` is inherited",
        ),
        (
            "[lints]\nworkspace = true",
            "[lints]",
            "lints are inherited",
        ),
        ("[lib]\ntest = false", "[lib]", "[lib] test = false"),
        (
            "name = \"pledge\"\ntest = false",
            "name = \"pledge\"",
            "[[bin]] test = false",
        ),
        (
            "axum.workspace = true",
            "axum = \"0.8\"",
            "more than `workspace = true`",
        ),
        (
            "axum.workspace = true",
            "axum = { workspace = true, features = [] }",
            "more than `workspace = true`",
        ),
        (
            "axum.workspace = true",
            "user.workspace = true",
            "`user` is no dependency",
        ),
        (
            "axum.workspace = true",
            "testkit.workspace = true",
            "testkit is for tests",
        ),
    ];
    for (from, to, what) in bad {
        assert!(MEMBER.contains(from), "{from}");
        only(&of_pledge(&MEMBER.replace(from, to)), path, what);
    }
}

#[test]
fn layers_of_crates_are_kept() {
    let manifest = |name: &str, dependency: &str| {
        MEMBER
            .replace("\"pledge\"", &format!("\"{name}\""))
            .replace("axum", dependency)
    };
    for (name, dependency) in [
        ("chassis", "common"),
        ("psp-sim", "common"),
        ("mail-sim", "common"),
        ("xtask", "sqlx"),
        ("xtask", "rdkafka"),
        ("xtask", "chassis"),
    ] {
        let path = format!("crates/{name}/Cargo.toml");
        let tree = Tree::of([(path.as_str(), manifest(name, dependency).as_str())]);
        only(
            &tidy::manifests(&tree),
            &path,
            &format!("`{dependency}` is no dependency of `{name}`"),
        );
    }
}

#[test]
fn shared_tables_have_one_text() {
    let good = [
        (
            "migrations/pledge/0002_outbox.sql",
            "create table outbox ();",
        ),
        (
            "migrations/payment/0002_outbox.sql",
            "create table outbox ();",
        ),
        (
            "migrations/payment/0001_payments.sql",
            "create table payments ();",
        ),
    ];
    assert_eq!(tidy::migrations(&Tree::of(good)), []);
    let mut bad = good;
    bad[0].1 = "create table outbox (id int);";
    only(
        &tidy::migrations(&Tree::of(bad)),
        "migrations/pledge/0002_outbox.sql",
        "differs from",
    );
}

#[test]
fn imports_go_one_way() {
    let base = "services/pledge/src";
    let check = |file: &str, text: &str| {
        let path = format!("{base}/{file}");
        tidy::modules(&Tree::of([
            (&format!("{base}/court.rs"), ""),
            (&format!("{base}/error.rs"), ""),
            (&format!("{base}/ledger.rs"), ""),
            (&format!("{base}/routes/mod.rs"), "pub mod create;"),
            (path.as_str(), text),
        ]))
    };
    for (file, good) in [
        (
            "lib.rs",
            "mod db; use crate::routes::create; use crate::court::Court;",
        ),
        (
            "routes/create.rs",
            "use crate::{App, db, court::Court, domain::Pledge, error::Error};",
        ),
        (
            "routes/create.rs",
            "use super::shared; fn f() { crate::db::insert() }",
        ),
        ("consumers/payment.rs", "use crate::App; use crate::court;"),
        (
            "ledger.rs",
            "use crate::court; use crate::db; use crate::Error; use super::domain;",
        ),
        ("config.rs", "use crate::court::Court; use crate::domain;"),
        (
            "db/pledges.rs",
            "use crate::domain::Pledge; use super::rows;",
        ),
        (
            "domain.rs",
            "use common::money::Money; use super::domain::Pledge;",
        ),
    ] {
        assert_eq!(check(file, good), [], "{file}: {good}");
    }
    for (file, bad, what) in [
        ("domain.rs", "use crate::db;", "Domain names `crate::db`"),
        (
            "domain.rs",
            "use crate::error::Error;",
            "Domain names `crate::error::Error`",
        ),
        (
            "db.rs",
            "use crate::court::Court;",
            "Db names `crate::court::Court`",
        ),
        (
            "db/pledges.rs",
            "use super::super::routes::create;",
            "Db names `crate::routes::create`",
        ),
        (
            "db.rs",
            "fn f(app: &crate::App) {}",
            "Db names `crate::App`",
        ),
        (
            "ledger.rs",
            "use crate::routes;",
            "Subject names `crate::routes`",
        ),
        (
            "ledger.rs",
            "fn f() { let x = crate::App::new(); }",
            "Subject names `crate::App::new`",
        ),
        (
            "routes/create.rs",
            "use crate::consumers::payment;",
            "Routes names `crate::consumers::payment`",
        ),
        (
            "workers/relay.rs",
            "fn f() { vec![crate::routes::x()]; }",
            "Workers names `crate::routes::x`",
        ),
    ] {
        only(&check(file, bad), &format!("{base}/{file}"), what);
    }
}

#[test]
fn pure_modules_do_no_input_or_output() {
    for (path, good) in [
        (
            "crates/common/src/money.rs",
            "use std::net::IpAddr; use serde::Serialize;",
        ),
        ("crates/common/src/outbox.rs", "use sqlx::PgPool;"),
        (
            "services/pledge/src/domain.rs",
            "use chassis::clock::Clock; use common::money::Money;",
        ),
        ("services/payment/src/payment.rs", "use sqlx::PgPool;"),
    ] {
        assert_eq!(tidy::purity(&Tree::of([(path, good)])), [], "{path}");
    }
    for (path, bad, what) in [
        (
            "crates/common/src/money.rs",
            "use sqlx::Type;",
            "`sqlx::Type` does I/O",
        ),
        (
            "crates/common/src/events/mod.rs",
            "fn f() { tokio::task::yield_now(); }",
            "`tokio::task::yield_now`",
        ),
        (
            "crates/common/src/payment/mod.rs",
            "#[derive(sqlx::Type)] struct S;",
            "`sqlx::Type`",
        ),
        (
            "services/pledge/src/domain.rs",
            "use axum::http::StatusCode;",
            "`axum::http::StatusCode`",
        ),
        (
            "services/pledge/src/domain/name.rs",
            "use chassis::http::Problem;",
            "`chassis::http::Problem`",
        ),
        (
            "services/pledge/src/domain.rs",
            "use common::outbox;",
            "`common::outbox`",
        ),
        (
            "services/payment/src/signature.rs",
            "use std::fs::File;",
            "`std::fs::File`",
        ),
    ] {
        only(&tidy::purity(&Tree::of([(path, bad)])), path, what);
    }
}

#[test]
fn the_readme_names_tests_that_exist() {
    let tests = (
        "crates/proof/tests/it/crash.rs",
        "#[test]\nfn one_charge() {}\n",
    );
    let check = |readme: &str| tidy::readme(&Tree::of([("README.md", readme), tests]));
    assert_eq!(
        check("| once | `court.rs` | `crates/proof/tests/it/crash.rs::one_charge` |"),
        []
    );
    only(
        &check("| x | `crates/proof/tests/it/crash.rs::two` |"),
        "README.md",
        "no such test",
    );
    only(
        &check("| x | `crates/proof/tests/it/gone.rs::one_charge` |"),
        "README.md",
        "no such file",
    );
    only(
        &check("nothing is promised"),
        "README.md",
        "no table cell names a test",
    );
    only(&tidy::readme(&Tree::of([tests])), "README.md", "is missing");
}

#[test]
fn long_files_are_found() {
    let lines = |count: usize| "//\n".repeat(count);
    let tree = |path: &str, count: usize| Tree::of([(path, lines(count).as_str())]);
    assert_eq!(tidy::size(&tree("crates/common/src/ids.rs", 400)), []);
    assert_eq!(tidy::size(&tree("crates/common/tests/it/ids.rs", 900)), []);
    only(
        &tidy::size(&tree("crates/common/src/ids.rs", 401)),
        "crates/common/src/ids.rs",
        "401 lines",
    );
    only(
        &tidy::size(&tree("services/user/src/main.rs", 31)),
        "services/user/src/main.rs",
        "31 lines",
    );
}

#[test]
fn each_table_has_one_author() {
    let pledges = (
        "services/pledge/src/db/pledges.rs",
        "const A: &str = \"insert into pledges (id) values ($1) on conflict (id) do update set x = 1\"; const B: &str = \"select 1 from outbox for update of outbox\";",
    );
    assert_eq!(tidy::sql(&Tree::of([pledges])), []);
    let other = "fn f() { query(\"with gone as (delete from pledges returning id) select id from gone\"); }";
    let two = Tree::of([pledges, ("services/pledge/src/db/sweep.rs", other)]);
    only(
        &tidy::sql(&two),
        "services/pledge/src/db/pledges.rs",
        "table `pledges` is written here and in",
    );
    let elsewhere = Tree::of([("services/payment/src/db/pledges.rs", other), pledges]);
    assert_eq!(tidy::sql(&elsewhere), [], "each service has its own tables");

    let route = "fn f() { sqlx::query(\"select 1\"); }";
    let path = "services/pledge/src/routes/create.rs";
    only(&tidy::sql(&Tree::of([(path, route)])), path, "runs SQL");
    let update = "fn f() -> &'static str { \"update only pledges as p set status = 'x'\" }";
    let path = "services/pledge/src/court.rs";
    only(
        &tidy::sql(&Tree::of([(path, update)])),
        path,
        "writes table",
    );
}

#[test]
fn words_without_a_place_are_found() {
    let path = "crates/common/src/ids.rs";
    for bad in [
        concat!("// see /wo", "rk/main"),
        concat!("// /tmp/", "dev/kafka"),
        concat!("// TO", "DO later"),
        concat!("// FIX", "ME"),
        concat!("fn f() { to", "do!() }"),
        concat!("fn f() { unimple", "mented!() }"),
        concat!("#[al", "low(dead_code)]"),
        concat!("#![al", "low(dead_code)]"),
    ] {
        only(&tidy::words(&Tree::of([(path, bad)])), path, "line 1");
    }
    assert_eq!(
        tidy::words(&Tree::of([(path, "#[expect(dead_code, reason = \"x\")]")])),
        []
    );
}

#[test]
fn a_dashboard_asks_only_for_metrics_that_exist() {
    let registered = (
        "crates/chassis/src/metrics.rs",
        "counter(\"http_requests_total\") histogram(\"http_seconds\")",
    );
    let dashboard = |expression: &str| {
        let text =
            serde_json::json!({ "panels": [{ "targets": [{ "expr": expression }] }] }).to_string();
        tidy::monitoring(&Tree::of([
            registered,
            ("grafana/dashboards/fleet.json", &text),
        ]))
    };
    for good in [
        "sum by (job) (rate(http_requests_total{status=~\"5..\"}[1m])) or vector(0)",
        "histogram_quantile(0.95, sum by (job, le) (rate(http_seconds_bucket[$__rate_interval])))",
        "sum(up)",
    ] {
        assert_eq!(dashboard(good), [], "{good}");
    }
    only(
        &dashboard("sum by (route) (rate(http_request_total[1m]))"),
        "grafana/dashboards/fleet.json",
        "`http_request_total`",
    );
}

#[test]
fn an_alert_asks_only_for_metrics_that_exist() {
    let registered = ("services/totals/src/alarm.rs", "gauge(\"totals_drift\")");
    let alert = |metric: &str| {
        let text = format!("      - alert: Drift\n        expr: max by (of) ({metric}) > 0\n");
        tidy::monitoring(&Tree::of([registered, ("grafana/rules/totals.yml", &text)]))
    };
    assert_eq!(alert("totals_drift"), []);
    only(
        &alert("totals_drifts"),
        "grafana/rules/totals.yml",
        "`totals_drifts`",
    );
}

#[test]
fn every_service_is_scraped() {
    let manifest = ("services/pledge/Cargo.toml", "");
    let scraped = ("prometheus.yml", "scrape_configs:\n  - job_name: pledge\n");
    assert_eq!(tidy::monitoring(&Tree::of([manifest, scraped])), []);
    only(
        &tidy::monitoring(&Tree::of([manifest])),
        "prometheus.yml",
        "no job `pledge`",
    );
}

#[test]
fn a_service_has_no_route_without_its_description() {
    let of = |path: &str, code: &str| {
        let text = format!("fn table() {{ OpenApiRouter::new(){code}; }}");
        tidy::routes(&Tree::of([(path, text.as_str())]))
    };
    let path = "services/user/src/routes/mod.rs";
    assert_eq!(of(path, ".routes(routes!(me::me))"), []);
    assert_eq!(of(path, ".route(\"/internal/payments\", get(page))"), []);
    let operators = "services/gateway/src/operations.rs";
    assert_eq!(of(operators, ".route(\"/livez\", get(alive))"), []);
    let alias = ".routes(routes!(me::me)).route(\"/api/users/login\", post(login))";
    only(
        &of(path, alias),
        path,
        "`/api/users/login` is not described",
    );
    let named = ".route(PATH, post(login)).layer(limit)";
    only(&of(path, named), path, "`..` is not described");
    let nested = ".nest(\"/api\", inner())";
    only(&of(path, nested), path, "`/api` is not described");
}
