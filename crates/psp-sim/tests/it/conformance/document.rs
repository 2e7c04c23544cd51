use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

const PREFIX: &str = "#/components/schemas/";
/// What a field may hold in full in place of an id. Everything else stays an id, so that no schema drags in all others.
const EXPANDED: [&str; 2] = ["balance_transaction", "charge"];

/// Stripe's OpenAPI document.
pub(crate) struct Document {
    schemas: BTreeMap<String, Value>,
    paths: Value,
}

impl Document {
    /// Reads the file and turns its dialect into plain JSON Schema.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read(path).expect("the document is there");
        let mut document: Value = serde_json::from_slice(&text).expect("the document is JSON");
        let schemas = document["components"]["schemas"].take();
        let Value::Object(schemas) = schemas else {
            panic!("the document has no schemas");
        };
        let schemas = schemas.into_iter().map(|(name, mut schema)| {
            plain(&mut schema);
            (name, schema)
        });
        Self {
            schemas: schemas.collect(),
            paths: document["paths"].take(),
        }
    }

    /// What replies of this route with this status must look like; `None` where the document knows no such route.
    pub(crate) fn reply(&self, method: &str, path: &str, status: u16) -> Option<Validator> {
        let responses = &self.paths[path][method]["responses"];
        let response = match &responses[status.to_string()] {
            Value::Null => &responses["default"],
            known => known,
        };
        let mut schema = response["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            return None;
        }
        plain(&mut schema);
        Some(self.validator(&schema))
    }

    /// What an object must look like that calls itself by this name.
    pub(crate) fn object(&self, name: &str) -> Option<Validator> {
        self.schemas.get(name)?;
        Some(self.validator(&json!({ "$ref": format!("{PREFIX}{name}") })))
    }

    /// The types of events that an endpoint can ask for.
    pub(crate) fn event_types(&self) -> BTreeSet<&str> {
        let form = &self.paths["/v1/webhook_endpoints"]["post"]["requestBody"]["content"];
        let form = &form["application/x-www-form-urlencoded"]["schema"]["properties"];
        let names = form["enabled_events"]["items"]["enum"].as_array();
        let names = names.expect("the types are listed").iter();
        names.filter_map(Value::as_str).collect()
    }

    /// A schema with those that it refers to.
    fn validator(&self, root: &Value) -> Validator {
        let mut needed = Map::new();
        let mut open = references(root);
        while let Some(name) = open.pop() {
            if needed.contains_key(&name) {
                continue;
            }
            let schema = self.schemas[&name].clone();
            open.extend(references(&schema));
            needed.insert(name, schema);
        }
        let whole = json!({ "allOf": [root], "components": { "schemas": needed } });
        jsonschema::draft4::new(&whole).expect("the schema is one")
    }
}

/// Rewrites what OpenAPI 3.0 says in words of its own: `nullable`, and Stripe's expandable ids. A field that the
/// schema does not know may only be null: a misspelt name must not pass.
fn plain(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(map) => {
            if map.contains_key("x-expansionResources") {
                keep_ids(map);
            }
            map.values_mut().for_each(plain);
            if map.get("properties").is_some_and(Value::is_object)
                && !map.contains_key("additionalProperties")
            {
                let null = json!({ "type": "null" });
                map.insert("additionalProperties".to_owned(), null);
            }
            if map.remove("nullable") == Some(Value::Bool(true)) {
                let inner = Value::Object(std::mem::take(map));
                *schema = json!({ "anyOf": [{ "type": "null" }, inner] });
            }
        }
        _ => {}
    }
}

fn keep_ids(map: &mut Map<String, Value>) {
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        let expanded = |choice: &Value| {
            let name = choice["$ref"].as_str();
            name.is_none_or(|name| EXPANDED.contains(&name.trim_start_matches(PREFIX)))
        };
        choices.retain(expanded);
    }
    map.remove("x-expansionResources");
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str);
            let own = own.map(|name| name.trim_start_matches(PREFIX).to_owned());
            own.into_iter()
                .chain(map.values().flat_map(references))
                .collect()
        }
        _ => Vec::new(),
    }
}
