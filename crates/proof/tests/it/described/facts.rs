//! Requests made from their description: parameters and bodies are filled with what exists.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Operation;

/// What exists, by the names under which descriptions ask for it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By the part of the path that stands before the parameter: `pledges` for `/api/pledges/{id}`.
    pub ids: HashMap<&'static str, String>,
    /// By the name of the field or parameter: `campaign_id`, `ticket`.
    pub named: HashMap<&'static str, Value>,
}

/// A request that an operation describes.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Its JSON, where it has any.
    pub body: Option<String>,
}

impl Facts {
    /// The smallest request that the description allows, about what exists.
    pub fn request(&self, operation: &Operation) -> Request {
        let query: Vec<String> = operation
            .parameters("query")
            .filter_map(|parameter| {
                let name = parameter["name"].as_str()?;
                let wanted = parameter["required"] == true;
                let value = self.named.get(name).cloned();
                let value =
                    value.or_else(|| wanted.then(|| self.parameter(operation, parameter)))?;
                Some(format!("{name}={}", plain(&value)))
            })
            .collect();
        let mut path = self.path(operation);
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let body = &operation.item["requestBody"]["content"]["application/json"];
        Request {
            method: operation.method.parse().expect("a method"),
            path,
            body: body
                .is_object()
                .then(|| self.body(operation, body).to_string()),
        }
    }

    fn path(&self, operation: &Operation) -> String {
        let mut before = "";
        let mut parts = Vec::new();
        for part in operation.path.split('/') {
            let name = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            let Some(name) = name else {
                parts.push(part.to_owned());
                before = part;
                continue;
            };
            let known = self.ids.get(before).map(|id| json!(id));
            let value = known.or_else(|| self.named.get(name).cloned());
            let value = value.unwrap_or_else(|| {
                let mut parameters = operation.parameters("path");
                let parameter = parameters.find(|parameter| parameter["name"] == name);
                parameter.map_or(Value::Null, |parameter| {
                    self.parameter(operation, parameter)
                })
            });
            parts.push(plain(&value));
        }
        parts.join("/")
    }

    /// Whether its path names only what exists.
    pub fn has_all_of(&self, operation: &Operation) -> bool {
        let parts: Vec<&str> = operation.path.split('/').collect();
        let mut places = parts.windows(2).filter(|pair| pair[1].starts_with('{'));
        places.all(|pair| self.ids.contains_key(pair[0]))
    }

    fn parameter(&self, operation: &Operation, parameter: &Value) -> Value {
        match &parameter["example"] {
            Value::Null => self.made(operation, &parameter["schema"], 0),
            example => example.clone(),
        }
    }

    fn body(&self, operation: &Operation, content: &Value) -> Value {
        match &content["example"] {
            Value::Null => self.made(operation, &content["schema"], 0),
            example => self.put_in(example.clone()),
        }
    }

    /// A value of a schema: its example, else the least that it asks for.
    fn made(&self, operation: &Operation, schema: &Value, depth: usize) -> Value {
        assert!(depth < 20, "the schemas of {operation} have no end");
        if let Some(name) = schema["$ref"].as_str() {
            let place = name.trim_start_matches('#');
            let target = operation.document.pointer(place).expect("a schema");
            return self.made(operation, target, depth + 1);
        }
        for given in [
            &schema["example"],
            &schema["examples"][0],
            &schema["const"],
            &schema["enum"][0],
        ] {
            if !given.is_null() {
                return self.put_in(given.clone());
            }
        }
        for choice in ["oneOf", "anyOf", "allOf"] {
            let choices = schema[choice].as_array().into_iter().flatten();
            let mut choices = choices.filter(|one| one["type"] != "null");
            if let Some(first) = choices.next() {
                return self.made(operation, first, depth + 1);
            }
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds
                .iter()
                .find(|kind| *kind != "null")
                .unwrap_or(&Value::Null),
            kind => kind,
        };
        match kind.as_str() {
            Some("object") | None => self.object(operation, schema, depth),
            Some("array") => {
                let least = schema["minItems"].as_u64().unwrap_or(1);
                let items = (0..least).map(|_| self.made(operation, &schema["items"], depth + 1));
                Value::Array(items.collect())
            }
            Some("integer" | "number") => schema["minimum"].as_i64().unwrap_or(1000).into(),
            // Nothing that can be switched on or off is switched on.
            Some("boolean") => false.into(),
            Some(_) => text(schema),
        }
    }

    fn object(&self, operation: &Operation, schema: &Value, depth: usize) -> Value {
        let mut made = Map::new();
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (name, property) in properties {
            let required = schema["required"].as_array().into_iter().flatten();
            if let Some(known) = self.named.get(name.as_str()) {
                made.insert(name.clone(), known.clone());
            } else if required.clone().any(|one| one == name) {
                made.insert(name.clone(), self.made(operation, property, depth + 1));
            }
        }
        Value::Object(made)
    }

    /// The same with what exists in the place of what is only an example.
    fn put_in(&self, mut value: Value) -> Value {
        match &mut value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    *field = match self.named.get(name.as_str()) {
                        Some(known) => known.clone(),
                        None => self.put_in(field.take()),
                    };
                }
            }
            Value::Array(items) => {
                for item in items {
                    *item = self.put_in(item.take());
                }
            }
            _ => {}
        }
        value
    }
}

fn text(schema: &Value) -> Value {
    match schema["format"].as_str() {
        Some("uuid") => json!(uuid::Uuid::nil()),
        Some("date-time") => json!("2030-01-01T00:00:00Z"),
        _ => {
            let least = schema["minLength"].as_u64().unwrap_or(4);
            json!("x".repeat(usize::try_from(least.max(4)).expect("a length")))
        }
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
