//! Reading YAML and JSON into a tree, within bounds.
//!
//! Promises: lines as the author sees them; aliases and merge keys resolved; `${NAME}` of a
//! template that is filled in later reads as text; a file that costs more than its size (aliases of
//! aliases, depth, millions of values) is refused as unreadable and never half read.
//! Refuses: recursion of an alias into itself, keys that are not text, types: everything that is
//! not a list or a map is text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle};

use crate::mesh::lint::tree::{Node, Step, Tree, Value};

/// What stands in a file, and what is wrong with the writing of it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) tree: Tree,
    /// Lines at which a key stands for the second time in one map, with the key.
    pub(super) twice: Vec<(usize, Arc<str>)>,
}

/// Why a file cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub(super) struct Unreadable {
    pub(super) line: usize,
    pub(super) words: String,
}

/// Reads all documents of a file.
pub(super) fn read(file: &str, text: &str) -> Result<Read, Unreadable> {
    if FILE_BYTES_MAX < text.len() {
        let words = format!("more than {FILE_BYTES_MAX} bytes");
        return Err(Unreadable { line: 1, words });
    }
    let text = filled(text);
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut composer = Composer::new(file);
    for next in Parser::new_from_str_with_options(&text, options) {
        let (event, span) = next.map_err(|error| Unreadable {
            line: error.marker().line().max(1),
            words: error.info(),
        })?;
        composer.take(event, span.start.line().max(1))?;
    }
    Ok(Read {
        tree: composer.tree,
        twice: composer.twice,
    })
}

/// The text with `${NAME}` written as `$(NAME)`: the braces would begin a map.
fn filled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, behind)) if is_name(name) => {
                out.push_str("$(");
                out.push_str(name);
                out.push(')');
                rest = behind;
            }
            _ => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A list or map that is not closed yet.
struct Open {
    id: usize,
    anchor: usize,
    /// The key whose value comes next, with its line.
    key: Option<(Arc<str>, usize)>,
    /// Keys so far, of a map.
    keys: Option<BTreeSet<Arc<str>>>,
    items: usize,
}

struct Composer {
    tree: Tree,
    open: Vec<Open>,
    anchors: BTreeMap<usize, usize>,
    twice: Vec<(usize, Arc<str>)>,
    documents: usize,
}

impl Composer {
    fn new(file: &str) -> Self {
        Self {
            tree: Tree::new(file.to_owned()),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            twice: Vec::new(),
            documents: 0,
        }
    }

    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Unreadable> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if DOCUMENTS_MAX < self.documents {
                    return Err(too_much(line, "documents"));
                }
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                self.scalar(&text, style == ScalarStyle::Plain, anchor, line)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Value::List(vec![]), anchor, line),
            Event::MappingStart(_, anchor, _) => self.begin(Value::Map(vec![]), anchor, line),
            Event::SequenceEnd | Event::MappingEnd => self.end(line),
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            // None of these is asked for; one that is passed over might have been a value.
            _ => Err(Unreadable {
                line,
                words: "a kind of YAML that is not known".to_owned(),
            }),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        plain: bool,
        anchor: usize,
        line: usize,
    ) -> Result<(), Unreadable> {
        let text: Arc<str> = text.into();
        if self.wants_key() {
            return self.key(text, plain, line);
        }
        let id = self.place(Value::Text(text), line)?;
        self.remember(anchor, id);
        Ok(())
    }

    fn wants_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| open.keys.is_some() && open.key.is_none())
    }

    fn key(&mut self, key: Arc<str>, plain: bool, line: usize) -> Result<(), Unreadable> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        let merge = plain && &*key == MERGE;
        if let Some(keys) = &mut open.keys
            && !merge
            && !keys.insert(key.clone())
        {
            if TWICE_MAX <= self.twice.len() {
                return Err(too_much(line, "keys that stand twice"));
            }
            self.twice.push((line, key.clone()));
        }
        open.key = Some((key, line));
        Ok(())
    }

    /// Puts a value where the next one belongs.
    fn place(&mut self, value: Value, line: usize) -> Result<usize, Unreadable> {
        if VALUES_MAX <= self.tree.count() {
            return Err(too_much(line, "values"));
        }
        let Some(open) = self.open.last_mut() else {
            let (parent, step) = (None, Step::Document);
            return Ok(self.tree.add(Node {
                parent,
                step,
                line,
                value,
            }));
        };
        let parent = open.id;
        let (step, line) = if let Some((key, line)) = open.key.take() {
            (Step::Key(key), line)
        } else {
            open.items += 1;
            (Step::Item(open.items - 1), line)
        };
        let id = self.tree.add(Node {
            parent: Some(parent),
            step,
            line,
            value,
        });
        self.tree.hang(parent, id);
        Ok(id)
    }

    fn begin(&mut self, value: Value, anchor: usize, line: usize) -> Result<(), Unreadable> {
        if self.wants_key() {
            let words = "a key that is no text".to_owned();
            return Err(Unreadable { line, words });
        }
        if DEPTH_MAX <= self.open.len() {
            return Err(too_much(line, "levels"));
        }
        let keys = matches!(value, Value::Map(_)).then(BTreeSet::new);
        let id = self.place(value, line)?;
        self.open.push(Open {
            id,
            anchor,
            key: None,
            keys,
            items: 0,
        });
        Ok(())
    }

    fn end(&mut self, line: usize) -> Result<(), Unreadable> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        if open.keys.is_some() {
            self.merge(open.id, line)?;
        }
        // Only what is whole can be pointed at, so no alias leads into itself.
        self.remember(open.anchor, open.id);
        Ok(())
    }

    fn remember(&mut self, anchor: usize, id: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), Unreadable> {
        let Some(&target) = self.anchors.get(&anchor) else {
            let words = "an alias that leads into itself".to_owned();
            return Err(Unreadable { line, words });
        };
        if self.wants_key() {
            let node = self.tree.node(target).map(|node| &node.value);
            return match node {
                Some(Value::Text(text)) => self.key(text.clone(), false, line),
                _ => Err(Unreadable {
                    line,
                    words: "a key that is no text".to_owned(),
                }),
            };
        }
        let value = self.emptied(target);
        let here = self.open.len();
        let id = self.place(value, line)?;
        self.copy_below(target, id, here, line)
    }

    /// The kind of a value, without its children.
    fn emptied(&self, id: usize) -> Value {
        match self.tree.node(id).map(|node| &node.value) {
            Some(Value::List(_)) => Value::List(Vec::new()),
            Some(Value::Map(_)) => Value::Map(Vec::new()),
            Some(Value::Text(text)) => Value::Text(text.clone()),
            None => Value::Text("".into()),
        }
    }

    /// Copies what hangs below one value below another. Each copy is counted: aliases of aliases
    /// grow with a power of the file's size.
    fn copy_below(
        &mut self,
        from: usize,
        to: usize,
        depth: usize,
        line: usize,
    ) -> Result<(), Unreadable> {
        if DEPTH_MAX < depth {
            return Err(too_much(line, "levels"));
        }
        for child in self.tree.children(from) {
            self.copy(child, to, depth, line)?;
        }
        Ok(())
    }

    fn copy(
        &mut self,
        from: usize,
        to: usize,
        depth: usize,
        line: usize,
    ) -> Result<(), Unreadable> {
        if VALUES_MAX <= self.tree.count() {
            return Err(too_much(
                line,
                "values, counted with what aliases stand for",
            ));
        }
        let Some(node) = self.tree.node(from) else {
            return Ok(());
        };
        let (step, origin) = (node.step.clone(), node.line);
        let value = self.emptied(from);
        let copied = self.tree.add(Node {
            parent: Some(to),
            step,
            line: origin,
            value,
        });
        self.tree.hang(to, copied);
        self.copy_below(from, copied, depth + 1, line)
    }

    /// Resolves `<<`: a map, or a list of maps, whose keys count where the map has none of its own.
    fn merge(&mut self, map: usize, line: usize) -> Result<(), Unreadable> {
        let own = self.tree.children(map);
        let key_of = |tree: &Tree, id: usize| match tree.node(id).map(|node| &node.step) {
            Some(Step::Key(key)) => Some(key.clone()),
            Some(Step::Document | Step::Item(_)) | None => None,
        };
        let merges: Vec<usize> = own
            .iter()
            .copied()
            .filter(|id| key_of(&self.tree, *id).as_deref() == Some(MERGE))
            .collect();
        if merges.is_empty() {
            return Ok(());
        }
        let mut known: BTreeSet<Arc<str>> = own
            .iter()
            .filter_map(|id| key_of(&self.tree, *id))
            .collect();
        for &merge in &merges {
            let maps = match self.tree.node(merge).map(|node| &node.value) {
                Some(Value::List(maps)) => maps.clone(),
                Some(Value::Map(_)) => vec![merge],
                Some(Value::Text(_)) | None => Vec::new(),
            };
            let merged = maps.iter().flat_map(|id| self.tree.children(*id));
            for child in merged.collect::<Vec<_>>() {
                if key_of(&self.tree, child).is_some_and(|key| known.insert(key)) {
                    self.copy(child, map, self.open.len() + 1, line)?;
                }
            }
        }
        // In the order in which they were read, which is sorted.
        self.tree.drop_children(map, &merges);
        Ok(())
    }
}

fn too_much(line: usize, of: &str) -> Unreadable {
    let words = format!("too many {of}: nothing was looked at");
    Unreadable { line, words }
}

const MERGE: &str = "<<";

/// The longest file, in bytes. A dump of a large sidecar has some megabytes.
pub(super) const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most documents in a file.
const DOCUMENTS_MAX: usize = 10_000;
/// The most levels of lists and maps; Envoy's own files have some thirty.
const DEPTH_MAX: usize = 100;
/// The most values of a file, counted with what aliases stand for.
const VALUES_MAX: usize = 2_000_000;
/// The most keys that stand twice before a file is refused whole.
const TWICE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::mesh::lint::tree::At;

    fn paths(text: &str) -> Vec<String> {
        let tree = read("f", text).unwrap().tree;
        let texts = tree.documents().flat_map(At::everything).filter_map(|at| {
            let text = at.text()?;
            Some(format!("{}: {}={text}", at.line(), at.path()))
        });
        texts.collect()
    }

    #[test]
    fn values_know_line_and_path() {
        let text = "a:\n- b: 1\n  c.d: ${X}\n---\n{e: [f, {g: h}]}\n";
        assert_eq!(
            paths(text),
            [
                "2: a[0].b=1",
                "3: a[0]['c.d']=$(X)",
                "5: e[0]=f",
                "5: e[1].g=h"
            ]
        );
    }

    #[test]
    fn aliases_and_merges_are_resolved() {
        let text = "a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\n";
        assert_eq!(
            paths(text),
            [
                "1: a.x=1", "1: a.y=2", "1: b.x=1", "1: b.y=2", "5: c.y=3", "1: c.x=1"
            ]
        );
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{},", level - 1).repeat(10);
            let _ = writeln!(text, "a{level}: &a{level} [{alias}]");
        }
        let error = read("f", &text).unwrap_err();
        assert!(error.words.contains("aliases"), "{error}");
        for text in ["[".repeat(5000), "a: &a [*a]".into(), "- ".repeat(5000)] {
            assert!(read("f", &text).is_err());
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_told() {
        let read = read("f", "a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(read.twice, [(3, "a".into())]);
    }
}
