//! Who may know whom: floors between rooms, walls around libraries, makers of the walk's types.
//!
//! Each rule takes the files and its table and answers findings; no finding means tidy. Unit tests
//! in `src` obey floors and walls too; makers bind only what is shipped, for a test may make
//! anything by hand.

use super::source::{Source, leading_name, trailing_name, words};

/// A library and the only places of `src` that may name it.
pub(crate) struct Wall {
    pub(crate) library: &'static str,
    pub(crate) places: &'static [&'static str],
}

/// A text that makes a guarded value, and the only places of `src` that may hold it.
pub(crate) struct Maker {
    pub(crate) makes: &'static str,
    pub(crate) places: &'static [&'static str],
    pub(crate) because: &'static str,
}

/// What a floor alone does not say: a room that is closed to another although it lies below.
pub(crate) struct Closed {
    pub(crate) from: &'static [&'static str],
    pub(crate) to: &'static [&'static str],
    pub(crate) because: &'static str,
}

/// Rooms from the lowest floor to the highest, and the two kinds of exception.
pub(crate) struct House {
    pub(crate) floors: &'static [&'static [&'static str]],
    pub(crate) sideways: &'static [(&'static str, &'static str)],
    pub(crate) closed: &'static [Closed],
    pub(crate) free: &'static [&'static str],
}

impl House {
    /// Every import that does not lead downward.
    pub(crate) fn climbing(&self, sources: &[Source]) -> Vec<String> {
        let mut findings = Vec::new();
        for source in sources {
            let Some(room) = room_of(source) else {
                continue;
            };
            if self.free.contains(&room) {
                continue;
            }
            let Some(floor) = self.floor(room) else {
                let words = format!(
                    "room `{room}` stands on no floor: add it to FLOORS in tests/it/tidy.rs"
                );
                findings.push(source.finding(0, &words));
                continue;
            };
            for (at, name) in rooms_named(source) {
                if let Some(words) = self.objection(room, floor, name) {
                    findings.push(source.finding(at, &words));
                }
            }
        }
        findings
    }

    fn objection(&self, room: &str, floor: usize, name: &str) -> Option<String> {
        if name == room {
            return None;
        }
        if name == "super" {
            return Some("`super` here is the crate: write `crate::<room>`".to_owned());
        }
        if name == "super::super" {
            return Some("`super::super`: write the path from `crate::`".to_owned());
        }
        let Some(theirs) = self.floor(name) else {
            return Some(format!(
                "`crate::{name}` is no room of the house: name the room that owns it, or add the \
                 room to FLOORS in tests/it/tidy.rs"
            ));
        };
        if let Some(closed) = self
            .closed
            .iter()
            .find(|row| row.from.contains(&room) && row.to.contains(&name))
        {
            return Some(format!(
                "`{room}` may not know `{name}`: {}",
                closed.because
            ));
        }
        if theirs < floor || self.sideways.contains(&(room, name)) {
            return None;
        }
        let way = if theirs == floor {
            "on the same floor as"
        } else {
            "below"
        };
        Some(format!(
            "`{room}` stands {way} `{name}` and may not know it: take what you need as an \
             argument, or move the shared word to a lower floor"
        ))
    }

    fn floor(&self, room: &str) -> Option<usize> {
        self.floors.iter().position(|rooms| rooms.contains(&room))
    }
}

/// Every library named outside its places.
pub(crate) fn escaping(sources: &[Source], walls: &[Wall]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.path.starts_with("src/"))
    {
        for wall in walls {
            if wall.places.iter().any(|place| source.within(place)) {
                continue;
            }
            let named = words(source.code(), wall.library).filter(|&at| {
                let (before, after) = (
                    &source.code()[..at],
                    &source.code()[at + wall.library.len()..],
                );
                let of_a_path = before
                    .strip_suffix("::")
                    .is_some_and(|path| !trailing_name(path).is_empty());
                let used = trailing_name(before.trim_end()) == "use";
                !of_a_path && (after.trim_start().starts_with("::") || used)
            });
            let words = format!(
                "`{}` is known only in src/{}: give that room a function for what you need",
                wall.library,
                wall.places.join(", src/")
            );
            findings.extend(named.map(|at| source.finding(at, &words)));
        }
    }
    findings
}

/// Every making of a guarded value outside its places.
pub(crate) fn usurping(sources: &[Source], makers: &[Maker]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.path.starts_with("src/"))
    {
        for maker in makers {
            if maker.places.iter().any(|place| source.within(place)) {
                continue;
            }
            let made = words(source.shipped(), maker.makes)
                .filter(|&at| !declares(&source.shipped()[..at]));
            let words = format!(
                "`{}` stands only in src/{}: {}",
                maker.makes,
                maker.places.join(", src/"),
                maker.because
            );
            findings.extend(made.map(|at| source.finding(at, &words)));
        }
    }
    findings
}

/// The room of a file: the first name below `src`.
fn room_of(source: &Source) -> Option<&str> {
    let path = source.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    path.split('/').next()
}

/// Every room that the file names through `crate::`, and every `super` that would hide one.
fn rooms_named(source: &Source) -> Vec<(usize, &str)> {
    let code = source.code();
    let mut named = Vec::new();
    for at in words(code, "crate") {
        let Some(path) = code[at + "crate".len()..].trim_start().strip_prefix("::") else {
            continue;
        };
        let path = path.trim_start();
        match path.strip_prefix('{') {
            None => named.push((at, leading_name(path))),
            Some(group) => named.extend(group_heads(group).map(|head| (at, head))),
        }
    }
    named.retain(|(_, name)| *name != "self");
    for at in words(code, "super") {
        if code[at..].starts_with("super::super") {
            named.push((at, "super::super"));
        }
    }
    if source.path.matches('/').count() == 1 {
        named.extend(words(source.shipped(), "super").map(|at| (at, "super")));
    }
    named
}

/// First names of the items of a brace group whose opening brace is already taken.
fn group_heads(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut heads = vec![0];
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            b',' if depth == 0 => heads.push(at + 1),
            _ => {}
        }
    }
    heads
        .into_iter()
        .map(|at| group[at..].trim_start())
        .filter_map(|item| {
            let ended = item.starts_with('}') || item.is_empty();
            (!ended).then(|| leading_name(item))
        })
}

/// Whether what stands before a type's name and brace declares the type, instead of making it.
fn declares(before: &str) -> bool {
    let before = before.trim_end();
    // A variant `Verdict::Permit {` is another type's; `policy::Permit {` is the type itself.
    let variant = before.strip_suffix("::").is_some_and(|path| {
        trailing_name(path).starts_with(|first: char| first.is_ascii_uppercase())
    });
    let word = trailing_name(before);
    let of_a_type = before.ends_with('>') && !before.ends_with("=>");
    variant || of_a_type || ["enum", "for", "impl", "struct"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: House = House {
        floors: &[&["low", "beside"], &["mid", "mate"], &["high"]],
        sideways: &[("low", "beside")],
        closed: &[Closed {
            from: &["high"],
            to: &["low"],
            because: "it is a client",
        }],
        free: &["lib"],
    };

    fn climbing(path: &str, text: &str) -> Vec<String> {
        HOUSE.climbing(&[Source::new(path, text)])
    }

    #[track_caller]
    fn one(findings: &[String], start: &str, words: &str) {
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].starts_with(start) && findings[0].contains(words),
            "{findings:?}"
        );
    }

    #[test]
    fn downward_and_listed_imports_pass() {
        for text in [
            "use crate::low::A;",
            "use crate::{low::A, beside::{B, C}};",
            "fn f(a: crate::low::A) {} // crate::high",
            "const A: &str = \"crate::high::B\";",
            "pub(crate) struct A; use crate::mid::{self, B};",
        ] {
            assert_eq!(climbing("src/mid/part.rs", text), [""; 0], "{text}");
        }
        assert_eq!(climbing("src/low.rs", "use crate::beside::B;"), [""; 0]);
        assert_eq!(climbing("src/lib.rs", "use crate::high::B;"), [""; 0]);
    }

    #[test]
    fn upward_imports_fail_with_file_and_line() {
        let path = "src/mid/part.rs";
        one(
            &climbing(path, "\nuse crate::high::A;"),
            "src/mid/part.rs:2:",
            "below `high`",
        );
        one(
            &climbing(path, "use crate::{low::A, high::{B, C}};"),
            "src/mid/part.rs:1:",
            "`high`",
        );
        one(
            &climbing(path, "use crate::{\n  low::A,\n  high,\n};"),
            path,
            "`high`",
        );
        one(
            &climbing(path, "fn f() { crate::high::g() }"),
            path,
            "`high`",
        );
        let test = "#[cfg(test)]\nmod tests { use crate::high::A; }";
        one(&climbing(path, test), "src/mid/part.rs:2:", "`high`");
    }

    #[test]
    fn sideways_and_closed_imports_fail() {
        one(
            &climbing("src/mid.rs", "use crate::mate::A;"),
            "src/mid.rs:1:",
            "same floor as `mate`",
        );
        one(
            &climbing("src/beside.rs", "use crate::low::A;"),
            "src/beside.rs:1:",
            "same floor",
        );
        one(
            &climbing("src/high.rs", "use crate::low::A;"),
            "src/high.rs:1:",
            "it is a client",
        );
    }

    #[test]
    fn what_is_on_no_floor_fails() {
        one(
            &climbing("src/attic.rs", ""),
            "src/attic.rs:1:",
            "add it to FLOORS",
        );
        one(
            &climbing("src/mid.rs", "use crate::attic::A;"),
            "src/mid.rs:1:",
            "no room",
        );
        one(
            &climbing("src/mid.rs", "use crate::*;"),
            "src/mid.rs:1:",
            "no room",
        );
    }

    #[test]
    fn detours_through_super_fail() {
        one(
            &climbing("src/mid.rs", "use super::high::A;"),
            "src/mid.rs:1:",
            "is the crate",
        );
        let deep = climbing("src/mid/part.rs", "use super::super::high::A;");
        one(&deep, "src/mid/part.rs:1:", "super::super");
        assert_eq!(
            climbing("src/mid.rs", "#[cfg(test)]\nmod tests { use super::*; }"),
            [""; 0]
        );
        assert_eq!(climbing("src/mid/part.rs", "use super::A;"), [""; 0]);
    }

    #[test]
    fn a_library_stays_behind_its_wall() {
        let walls = [Wall {
            library: "axum",
            places: &["api"],
        }];
        let escaping = |path, text| escaping(&[Source::new(path, text)], &walls);
        for text in [
            "use axum::Router;",
            "use axum;",
            "fn f(a: axum::Json<()>) {}",
            "use ::axum::A;",
        ] {
            one(
                &escaping("src/store.rs", text),
                "src/store.rs:1:",
                "`axum` is known only in src/api",
            );
            assert_eq!(escaping("src/api/http.rs", text), [""; 0]);
        }
        for text in [
            "// axum::Router",
            "use crate::axum::A;",
            "let axum = 1;",
            "mod taxum;",
        ] {
            assert_eq!(escaping("src/store.rs", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_guarded_value_has_one_maker() {
        let makers = [
            Maker {
                makes: "Permit {",
                places: &["policy/decide"],
                because: "only it decides",
            },
            Maker {
                makes: "Facts::observed(",
                places: &["store"],
                because: "only it saw",
            },
        ];
        let usurping = |path, text| usurping(&[Source::new(path, text)], &makers);
        for text in [
            "let a = Permit { b };",
            "f(policy::Permit { b })",
            "=> Permit { b }.into()",
        ] {
            one(
                &usurping("src/api.rs", text),
                "src/api.rs:1:",
                "only it decides",
            );
            assert_eq!(usurping("src/policy/decide.rs", text), [""; 0]);
        }
        one(
            &usurping("src/api.rs", "\nFacts::observed(b)"),
            "src/api.rs:2:",
            "only it saw",
        );
        for text in [
            "pub struct Permit { b: u8 }",
            "impl Permit {}",
            "impl<T> From<T> for Permit {}",
            "fn f() -> Permit { g() }",
            "match v { Verdict::Permit { b } => {} }",
            "#[cfg(test)]\nmod tests { fn f() { Permit { b } } }",
        ] {
            assert_eq!(usurping("src/policy.rs", text), [""; 0], "{text}");
        }
    }
}
