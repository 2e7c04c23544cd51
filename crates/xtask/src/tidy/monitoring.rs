//! What is watched exists.

use serde_json::Value;

use super::{Finding, Tree};

/// Made by Prometheus itself.
const BUILT_IN: [&str; 1] = ["up"];
const KEYWORDS: [&str; 7] = ["and", "by", "ignoring", "on", "or", "unless", "without"];
/// What Prometheus' client adds to the name of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Every metric that a dashboard or an alert asks for is registered in a source file, and every service is a scrape job.
pub fn monitoring(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        let asked = if path.starts_with("grafana/dashboards/") {
            let Ok(dashboard) = serde_json::from_str::<Value>(text) else {
                findings.push(Finding::new(path, "is no json"));
                continue;
            };
            expressions(&dashboard)
        } else if path.starts_with("grafana/rules/") {
            let lines = text.lines();
            let queries = lines.filter_map(|line| line.trim_start().strip_prefix("expr: "));
            queries.map(str::to_owned).collect()
        } else {
            continue;
        };
        for metric in asked.iter().flat_map(|expression| metrics(expression)) {
            if !is_registered(tree, &metric) {
                findings.push(Finding::new(
                    path,
                    format!("asks for `{metric}`, which no source registers"),
                ));
            }
        }
    }
    let scraped = tree.get("prometheus.yml").unwrap_or_default();
    let services = tree.files().filter_map(|(path, _)| {
        let name = path
            .strip_prefix("services/")?
            .strip_suffix("/Cargo.toml")?;
        (!name.contains('/')).then_some(name)
    });
    for service in services {
        let job = format!("job_name: {service}");
        if !scraped
            .lines()
            .any(|line| line.trim_start_matches([' ', '-']) == job)
        {
            findings.push(Finding::new(
                "prometheus.yml",
                format!("has no job `{service}`"),
            ));
        }
    }
    findings
}

/// Every query of a dashboard, wherever it stands.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| match field.as_str() {
                Some(text) if name == "expr" => vec![text.to_owned()],
                _ => expressions(field),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The names of metrics in a query: names that are neither a function, nor a keyword, nor a label.
fn metrics(expression: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = expression;
    let mut grouping = false;
    while let Some(first) = rest.chars().next() {
        // Labels and their values, ranges, and the label lists of `by (..)` hold no metric.
        let closing = match first {
            '{' => Some('}'),
            '[' => Some(']'),
            '(' if grouping => Some(')'),
            _ => None,
        };
        grouping = grouping && first == ' ';
        if let Some(closing) = closing {
            rest = rest.split_once(closing).map_or("", |(_, after)| after);
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if KEYWORDS.contains(&name) {
                grouping = matches!(name, "by" | "without" | "on" | "ignoring");
            } else if !["(", "by ", "without "]
                .iter()
                .any(|next| after.trim_start().starts_with(next))
            {
                names.push(name.to_owned());
            }
            rest = after;
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    names
}

fn is_registered(tree: &Tree, metric: &str) -> bool {
    let bare = PARTS.iter().find_map(|part| metric.strip_suffix(part));
    BUILT_IN.contains(&metric)
        || [Some(metric), bare].into_iter().flatten().any(|name| {
            let literal = format!("\"{name}\"");
            tree.sources().any(|(_, text)| text.contains(&literal))
        })
}
