//! Who may depend on whom, and what every manifest says.

use toml::{Table, Value};

use super::{Finding, Tree};

/// Versions and features stand only in the root; lints are inherited; services have one test binary each; no service
/// knows another; the launcher stays light, and the witness shares no code with what it witnesses.
pub fn manifests(tree: &Tree) -> Vec<Finding> {
    let is_member = |path: &str| {
        (path.starts_with("crates/") || path.starts_with("services/"))
            && path.ends_with("/Cargo.toml")
    };
    let members: Vec<(&str, &str)> = tree.files().filter(|(path, _)| is_member(path)).collect();
    let services: Vec<&str> = members
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("services/")?.strip_suffix("/Cargo.toml"))
        .collect();
    members
        .iter()
        .flat_map(|(path, text)| match text.parse::<Table>() {
            Ok(manifest) => of_member(path, &manifest, &services),
            Err(error) => vec![Finding::new(path, format!("no toml: {error}"))],
        })
        .collect()
}

fn of_member(path: &str, manifest: &Table, services: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(Finding::new(path, what));
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    let inherited = |value: Option<&Value>| value.is_some_and(is_inherited);

    let package = manifest.get("package").and_then(Value::as_table);
    let get = |key: &str| package.and_then(|package| package.get(key));
    if get("name").and_then(Value::as_str) != Some(folder) {
        find(format!("the package is called like its folder, `{folder}`"));
    }
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        if !inherited(get(key)) {
            find(format!(
                "`package.{key}` is inherited: `{key}.workspace = true`"
            ));
        }
    }
    if !inherited(manifest.get("lints")) {
        find("the lints are inherited: `[lints] workspace = true`".to_owned());
    }
    if path.starts_with("services/") {
        if !manifest.get("lib").is_some_and(has_no_tests) {
            find("a service has one test binary: `[lib] test = false`".to_owned());
        }
        let bins = manifest.get("bin").and_then(Value::as_array);
        if !bins.is_some_and(|bins| !bins.is_empty() && bins.iter().all(has_no_tests)) {
            find("a service has one test binary: `[[bin]] test = false`".to_owned());
        }
    }
    for (kind, name, value) in dependencies(manifest) {
        if !is_inherited(value) {
            find(format!(
                "`{name}` says more than `workspace = true`; versions and features stand in the root"
            ));
        }
        if let Some(reason) = forbidden(folder, path, kind, name, services) {
            find(format!("`{name}` is no dependency of `{folder}`: {reason}"));
        }
    }
    findings
}

fn is_inherited(value: &Value) -> bool {
    value.as_table().is_some_and(|table| {
        table.len() == 1 && table.get("workspace") == Some(&Value::Boolean(true))
    })
}

fn has_no_tests(target: &Value) -> bool {
    target.get("test") == Some(&Value::Boolean(false))
}

fn dependencies(manifest: &Table) -> Vec<(&'static str, &str, &Value)> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .flat_map(|kind| {
            let table = manifest.get(kind).and_then(Value::as_table);
            table
                .into_iter()
                .flatten()
                .map(move |(name, value)| (kind, name.as_str(), value))
        })
        .collect()
}

fn forbidden(
    folder: &str,
    path: &str,
    kind: &str,
    name: &str,
    services: &[&str],
) -> Option<&'static str> {
    const DRIVERS: [&str; 6] = ["sqlx", "rdkafka", "reqwest", "redis", "chassis", "common"];
    let in_services = path.starts_with("services/");
    let is_ours = matches!(
        folder,
        "chassis" | "common" | "psp-sim" | "mail-sim" | "testkit"
    );
    if services.contains(&name) && (in_services || is_ours) {
        return Some("services meet in `common::events` and over the wire only");
    }
    match folder {
        "chassis" if name == "common" => {
            Some("what a chat server would not want stays out of chassis")
        }
        "psp-sim" | "mail-sim" if name == "common" => {
            Some("a witness shares no code with what it witnesses")
        }
        "xtask" if DRIVERS.contains(&name) => {
            Some("the launcher compiles in seconds and speaks HTTP and psql")
        }
        _ if name == "testkit" && kind == "dependencies" => Some("testkit is for tests"),
        _ => None,
    }
}
