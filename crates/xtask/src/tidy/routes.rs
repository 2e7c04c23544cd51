//! No route without its description.

use syn::visit::{self, Visit};

use super::{Finding, Tree};

/// What puts a handler behind a path without describing it.
const UNDESCRIBED: [&str; 4] = ["route", "route_service", "nest", "nest_service"];

/// What the services ask each other: the gateway knows no such path, and no description tells of one.
const INTERNAL: &str = "/internal/";

/// A service's routes go through `routes!`, which takes each with its description, so its document holds every one of
/// them; apart from them only what is internal may stand. The gateway's own routes are those of operators.
pub fn routes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.sources() {
        let of_service = path.starts_with("services/") && path.contains("/src/");
        if !of_service || path.starts_with("services/gateway/") {
            continue;
        }
        let mut calls = Calls::default();
        if let Ok(file) = syn::parse_file(text) {
            calls.visit_file(&file);
        }
        let open = calls.0.into_iter().filter(|at| !at.starts_with(INTERNAL));
        findings.extend(open.map(|at| {
            let what = format!("the route `{at}` is not described: register it by `routes!`");
            Finding::new(path, what)
        }));
    }
    findings
}

/// The paths that are registered without a description.
#[derive(Default)]
struct Calls(Vec<String>);

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let named = UNDESCRIBED.iter().any(|name| call.method == name);
        if named && call.args.len() == 2 {
            self.0.push(match call.args.first() {
                Some(syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(at),
                    ..
                })) => at.value(),
                _ => "..".to_owned(),
            });
        }
        visit::visit_expr_method_call(self, call);
    }
}
