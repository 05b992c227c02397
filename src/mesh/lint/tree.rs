//! A file of configuration as a tree in which every value knows its line and its place.
//!
//! Promises: whoever holds an [`At`] can tell file, line and path of what stands there; aliases
//! and merges are already resolved, so a rule never meets one.
//! Refuses: any opinion on what the values mean.

use std::sync::Arc;

/// All documents of one file.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) file: String,
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: Option<usize>,
    pub(super) step: Step,
    /// Where the value is announced: its key, else its own beginning.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// How one comes from the parent to a value.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A document of the file.
    Document,
    /// By position in a list.
    Item(usize),
    /// By key in a map.
    Key(Arc<str>),
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    List(Vec<usize>),
    Map(Vec<usize>),
    Text(Arc<str>),
}

/// A value in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    tree: &'a Tree,
    id: usize,
    node: &'a Node,
}

impl Tree {
    pub(super) const fn new(file: String) -> Self {
        Self {
            file,
            nodes: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// Adds a value without children; its number.
    pub(super) fn add(&mut self, node: Node) -> usize {
        let id = self.nodes.len();
        if node.parent.is_none() {
            self.roots.push(id);
        }
        self.nodes.push(node);
        id
    }

    pub(super) fn node(&self, id: usize) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Makes a value the last child of its parent.
    pub(super) fn hang(&mut self, parent: usize, child: usize) {
        if let Some(node) = self.nodes.get_mut(parent) {
            match &mut node.value {
                Value::List(children) | Value::Map(children) => children.push(child),
                Value::Text(_) => {}
            }
        }
    }

    /// Takes children away, as merge keys are once they are merged; `gone` is sorted.
    pub(super) fn drop_children(&mut self, parent: usize, gone: &[usize]) {
        if let Some(node) = self.nodes.get_mut(parent) {
            match &mut node.value {
                Value::List(children) | Value::Map(children) => {
                    children.retain(|id| gone.binary_search(id).is_err());
                }
                Value::Text(_) => {}
            }
        }
    }

    pub(super) fn children(&self, id: usize) -> Vec<usize> {
        match self.node(id).map(|node| &node.value) {
            Some(Value::List(children) | Value::Map(children)) => children.clone(),
            Some(Value::Text(_)) | None => Vec::new(),
        }
    }

    pub(super) fn at(&self, id: usize) -> Option<At<'_>> {
        let node = self.node(id)?;
        Some(At {
            tree: self,
            id,
            node,
        })
    }

    /// The documents.
    pub(super) fn documents(&self) -> impl Iterator<Item = At<'_>> {
        self.roots.iter().filter_map(|id| self.at(*id))
    }
}

impl<'a> At<'a> {
    /// The value under a key, written as Envoy writes it (`typed_config`) or as its JSON may be
    /// written (`typedConfig`).
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let Value::Map(children) = &self.node.value else {
            return None;
        };
        let found = children.iter().filter_map(|id| self.tree.at(*id));
        found
            .clone()
            .find(|child| child.key() == Some(name))
            .or_else(|| {
                let mut found = found;
                found.find(|child| child.key().is_some_and(|key| is_camel_of(key, name)))
            })
    }

    /// The value at the end of keys.
    pub(super) fn fields(self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self, |at, name| at.field(name))
    }

    /// The items of a list under a key; none where there is no list.
    pub(super) fn list(self, name: &str) -> impl Iterator<Item = Self> {
        self.field(name).into_iter().flat_map(Self::items)
    }

    /// The items of a list.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let children: &'a [usize] = match &self.node.value {
            Value::List(children) => children,
            Value::Map(_) | Value::Text(_) => &[],
        };
        children.iter().filter_map(move |id| self.tree.at(*id))
    }

    /// The values of a map; each knows its key.
    pub(super) fn entries(self) -> impl Iterator<Item = Self> {
        let children: &'a [usize] = match &self.node.value {
            Value::Map(children) => children,
            Value::List(_) | Value::Text(_) => &[],
        };
        children.iter().filter_map(move |id| self.tree.at(*id))
    }

    /// This value and all below it, in the order of the file.
    pub(super) fn everything(self) -> Everything<'a> {
        Everything { open: vec![self] }
    }

    /// The text, where it is one.
    pub(super) fn text(self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The text under a key.
    pub(super) fn word(self, name: &str) -> Option<&'a str> {
        self.field(name)?.text()
    }

    /// Whether a switch under a key is on.
    pub(super) fn is_on(self, name: &str) -> bool {
        self.word(name)
            .is_some_and(|text| matches!(text, "true" | "True" | "TRUE"))
    }

    /// Whether it is a map.
    pub(super) const fn is_map(self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// Whether it is a list.
    pub(super) const fn is_list(self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether it is a map or a list without content.
    pub(super) fn is_empty(self) -> bool {
        match &self.node.value {
            Value::List(children) | Value::Map(children) => children.is_empty(),
            Value::Text(text) => matches!(&**text, "" | "null" | "~"),
        }
    }

    /// The key under which it stands.
    pub(super) fn key(self) -> Option<&'a str> {
        match &self.node.step {
            Step::Key(key) => Some(key),
            Step::Document | Step::Item(_) => None,
        }
    }

    pub(super) fn parent(self) -> Option<Self> {
        self.tree.at(self.node.parent?)
    }

    pub(super) fn file(self) -> &'a str {
        &self.tree.file
    }

    pub(super) const fn line(self) -> usize {
        self.node.line
    }

    /// The path in the document, as `spec.rules[0].from`.
    pub(super) fn path(self) -> String {
        let mut steps = Vec::new();
        let mut here = Some(self);
        while let Some(at) = here {
            match &at.node.step {
                Step::Document => {}
                Step::Item(number) => steps.push(format!("[{number}]")),
                Step::Key(key) if key.contains(['.', '/', ' ']) => {
                    steps.push(format!("['{key}']"));
                }
                Step::Key(key) => steps.push(format!(".{key}")),
            }
            here = at.parent();
        }
        let path: String = steps.into_iter().rev().collect();
        path.strip_prefix('.').unwrap_or(&path).to_owned()
    }

    /// Whether both are one place.
    pub(super) fn is(self, other: Self) -> bool {
        self.id == other.id && std::ptr::eq(self.tree, other.tree)
    }
}

/// A walk over a value and all below it.
pub(super) struct Everything<'a> {
    open: Vec<At<'a>>,
}

impl<'a> Iterator for Everything<'a> {
    type Item = At<'a>;

    fn next(&mut self) -> Option<At<'a>> {
        let at = self.open.pop()?;
        if let Value::List(children) | Value::Map(children) = &at.node.value {
            let below = children.iter().rev().filter_map(|id| at.tree.at(*id));
            self.open.extend(below);
        }
        Some(at)
    }
}

/// Whether a key is the camel case of a name in snake case.
fn is_camel_of(key: &str, name: &str) -> bool {
    let mut key = key.chars();
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
            continue;
        }
        let wanted = if upper {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        upper = false;
        if key.next() != Some(wanted) {
            return false;
        }
    }
    key.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_is_read_as_snake_case() {
        assert!(is_camel_of("typedConfig", "typed_config"));
        assert!(is_camel_of("filters", "filters"));
        assert!(!is_camel_of("typedconfig", "typed_config"));
        assert!(!is_camel_of("typedConfigs", "typed_config"));
        assert!(!is_camel_of("typedConf", "typed_config"));
    }
}
