use std::collections::HashMap;

/// Things in the order in which they came about, findable by id.
pub(crate) struct Series<T> {
    items: Vec<T>,
    index: HashMap<String, usize>,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            index: HashMap::new(),
        }
    }
}

impl<T> Series<T> {
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.items.get(self.position(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let place = self.position(id)?;
        self.items.get_mut(place)
    }

    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> &[T] {
        &self.items
    }

    /// Replaces the thing of this id, or adds it at the end.
    pub(super) fn put(&mut self, id: &str, item: T) {
        if let Some(place) = self.position(id) {
            self.items[place] = item;
        } else {
            self.index.insert(id.to_owned(), self.items.len());
            self.items.push(item);
        }
    }
}
