//! What a Rust file refers to, read from its syntax.

use proc_macro2::TokenStream;
use syn::visit::{self, Visit};

/// A parsed Rust file: the paths it names and the text it holds.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Every path, as its segments: imports in full, paths in code as far as they are written.
    pub paths: Vec<Vec<String>>,
    /// What `use` items name, in full.
    pub imports: Vec<Vec<String>>,
    /// Every string literal outside attributes.
    pub strings: Vec<String>,
}

impl Source {
    /// Reads a file; one that is no Rust has nothing.
    pub fn parse(text: &str) -> Self {
        let mut source = Self::default();
        if let Ok(file) = syn::parse_file(text) {
            source.visit_file(&file);
        }
        source
    }

    fn add_use(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(next) => {
                path.push(next.ident.to_string());
                self.add_use(&next.tree, path);
            }
            syn::UseTree::Name(last) => {
                path.push(last.ident.to_string());
                self.paths.push(path);
            }
            syn::UseTree::Rename(last) => {
                path.push(last.ident.to_string());
                self.paths.push(path);
            }
            syn::UseTree::Glob(_) => self.paths.push(path),
            syn::UseTree::Group(group) => {
                for item in &group.items {
                    self.add_use(item, path.clone());
                }
            }
        }
    }

    /// Inside a macro or an attribute there are only tokens: names joined by `::`, and literals.
    fn add_tokens(&mut self, tokens: &TokenStream, with_strings: bool) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens.clone() {
            match token {
                proc_macro2::TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.paths.push(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                proc_macro2::TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.paths.push(std::mem::take(&mut path));
                    colons = 0;
                    match other {
                        proc_macro2::TokenTree::Group(group) => {
                            self.add_tokens(&group.stream(), with_strings);
                        }
                        proc_macro2::TokenTree::Literal(literal) if with_strings => {
                            if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                                self.strings.push(text.value());
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        self.paths.push(path);
        self.paths.retain(|path| !path.is_empty());
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let before = self.paths.len();
        self.add_use(&item.tree, Vec::new());
        self.imports.extend_from_slice(&self.paths[before..]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(
            path.segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect(),
        );
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.add_tokens(&list.tokens, false);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.add_tokens(&call.tokens, true);
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.strings.push(text.value());
    }
}
