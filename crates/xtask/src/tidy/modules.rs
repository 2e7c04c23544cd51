//! Imports inside a service go one way.

use super::source::Source;
use super::tree::in_service;
use super::{Finding, Tree};

/// What a module is for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lib,
    Routes,
    Consumers,
    Workers,
    /// What webhooks, fetches and admin calls share: court, transition, ledger, ...
    Subject,
    Db,
    Domain,
    /// Config and error, which everything but the domain may use.
    Base,
}

/// `main -> lib -> routes | consumers | workers -> subject -> domain, db`: no module names one before it.
pub fn modules(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.sources() {
        let Some((service, file)) = in_service(path) else {
            continue;
        };
        if file == "main.rs" {
            continue;
        }
        let own = module_path(file);
        let from = own.first().map_or(Kind::Lib, |name| kind_of(service, name));
        for named in Source::parse(text).paths {
            let Some(target) = resolve(&own, &named) else {
                continue;
            };
            let to = kind_of_target(tree, service, &target);
            if !may_name(service, from, to) {
                let target = target.join("::");
                findings.push(Finding::new(
                    path,
                    format!("{from:?} names `crate::{target}`, which is {to:?}; imports go main -> lib -> routes, consumers or workers -> subject -> domain and db"),
                ));
            }
        }
    }
    findings
}

/// The modules that lead to a file below `src`: `routes/create.rs` is `[routes, create]`.
fn module_path(file: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut path: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
        path.pop();
    }
    path
}

/// Where a path leads from the root of the crate; nothing when it leads out of the crate or stays in its module.
fn resolve(own: &[String], named: &[String]) -> Option<Vec<String>> {
    if named.first().map(String::as_str) == Some("crate") {
        return (named.len() > 1).then(|| named[1..].to_vec());
    }
    let ups = named
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    if ups == 0 || ups > own.len() || ups == named.len() {
        return None;
    }
    let mut target = own[..own.len() - ups].to_vec();
    target.extend_from_slice(&named[ups..]);
    Some(target)
}

/// The gateway has no endpoints: its `routes` are the table that it forwards by.
fn kind_of(service: &str, name: &str) -> Kind {
    match name {
        "routes" if service == "gateway" => Kind::Domain,
        "routes" => Kind::Routes,
        "consumers" => Kind::Consumers,
        "workers" => Kind::Workers,
        "db" => Kind::Db,
        "domain" => Kind::Domain,
        "config" | "error" | "Config" | "Error" | "Result" => Kind::Base,
        _ => Kind::Subject,
    }
}

/// A name at the root is a module; or what `lib.rs` imports from one; or an item of the library itself, like its state.
fn kind_of_target(tree: &Tree, service: &str, target: &[String]) -> Kind {
    let name = target[0].as_str();
    let src = format!("services/{service}/src");
    let is_module = |name: &str| {
        let files = [format!("{src}/{name}.rs"), format!("{src}/{name}/mod.rs")];
        files.iter().any(|file| tree.get(file).is_some())
    };
    let kind = kind_of(service, name);
    if is_module(name) || kind_of("", name) != Kind::Subject {
        return kind;
    }
    let lib = tree.get(&format!("{src}/lib.rs")).unwrap_or_default();
    Source::parse(lib)
        .imports
        .iter()
        .filter(|path| path.last().map(String::as_str) == Some(name))
        .filter_map(|path| path.iter().find(|segment| is_module(segment)))
        .map(|module| kind_of(service, module))
        .next()
        .unwrap_or(Kind::Lib)
}

fn may_name(service: &str, from: Kind, to: Kind) -> bool {
    use Kind::{Base, Consumers, Db, Domain, Lib, Routes, Subject, Workers};
    match from {
        Lib => true,
        // Every module of the gateway stands on the path of each request, and shares its state.
        Subject if service == "gateway" && to == Lib => true,
        Routes | Consumers | Workers => {
            to == from || matches!(to, Lib | Subject | Db | Domain | Base)
        }
        Subject | Base => matches!(to, Subject | Db | Domain | Base),
        Db => matches!(to, Db | Domain | Base),
        Domain => to == Domain,
    }
}
