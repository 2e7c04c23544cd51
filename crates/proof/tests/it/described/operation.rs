//! One operation of an OpenAPI document.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
use xtask::fleet::SERVICES;

use crate::harness::{World, success};

/// A method on a path, as a document describes it.
pub struct Operation<'a> {
    /// Whose document it is in.
    pub service: String,
    /// `GET`, `POST`, ...
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    /// Its description.
    pub item: &'a Value,
    /// The whole document, for what is referred to.
    pub document: &'a Value,
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Operation<'_> {
    /// Whether anybody may call it.
    pub fn is_public(&self) -> bool {
        self.requirements().any(|requirement| {
            requirement
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
        })
    }

    /// Whether one may call it who has this credential and is this to what it asks for.
    pub fn is_for(&self, scheme: &str, relation: &str) -> bool {
        self.requirements().any(|requirement| {
            let named = requirement[scheme].as_array();
            named.is_some_and(|named| named.iter().all(|one| one == relation))
        })
    }

    /// Whether it takes something that makes a second try harmless.
    pub fn is_repeatable(&self) -> bool {
        self.takes_header("Idempotency-Key")
            || self.takes_header("If-Match")
            || self
                .requirements()
                .any(|requirement| requirement["stripe"].is_array())
    }

    /// Whether it requires this header.
    pub fn takes_header(&self, name: &str) -> bool {
        self.parameters("header").any(|parameter| {
            parameter["required"] == true
                && parameter["name"]
                    .as_str()
                    .is_some_and(|sent| sent.eq_ignore_ascii_case(name))
        })
    }

    /// Its parameters in this place: `path`, `query` or `header`.
    pub fn parameters(&self, place: &str) -> impl Iterator<Item = &Value> {
        let all = self.item["parameters"].as_array().into_iter().flatten();
        all.filter(move |parameter| parameter["in"] == place)
    }

    fn requirements(&self) -> impl Iterator<Item = &Value> {
        self.item["security"].as_array().into_iter().flatten()
    }
}

/// The operations of a document.
pub fn operations<'a>(service: &str, document: &'a Value) -> impl Iterator<Item = Operation<'a>> {
    let paths = document["paths"].as_object().expect("paths").iter();
    paths.flat_map(move |(path, items)| {
        ["get", "post", "put", "patch", "delete"]
            .into_iter()
            .filter_map(move |method| {
                Some(Operation {
                    service: service.to_owned(),
                    method: method.to_uppercase(),
                    path: path.clone(),
                    item: items.get(method)?,
                    document,
                })
            })
    })
}

/// What each service says of itself, by its name.
pub async fn documents(world: &World) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    for service in SERVICES.iter().filter(|name| **name != "gateway") {
        let url = format!("{}/openapi.json", world.url(service));
        let reply = world.client.get(url).send().await;
        let document = success(reply.expect("the service answers")).await;
        documents.insert((*service).to_owned(), document);
    }
    documents
}
