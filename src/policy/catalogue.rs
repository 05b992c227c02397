//! The catalogue of scopes: `scopes.toml`, read into terms.
//!
//! ```toml
//! [scope."db.read"]
//! description = "read the orders database"
//! owner = "data"                       # the group that answers for it
//! servers = ["spiffe://prod.example/ns/data/sa/orders-db"]
//! encoding = "path"                    # path (default), folded, dns
//! svid_life = "5m"                     # 60s to 15m
//! elevation_longest = "30m"            # svid_life to 8h
//! idle_longest = "10m"                 # 60s to elevation_longest; none: silence ends nothing
//! on_demand = false                    # default
//! ```
//!
//! Promises: terms that exist are within the bounds of DESIGN section 6, so that a short right
//! stays short. `idle_longest` is the author's word that the access logs of all the servers are
//! reported. Refuses: unknown keys, an idle time without servers whose logs could show a use, and
//! lives under 60 s unless the file says `test_lives = true`, which is told as a warning.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::identity::{Group, SpiffeId};
use crate::policy::fault::{Fault, Lines, Place};
use crate::policy::source::SCOPES_FILE;
use crate::scope::{Encoding, Scope};
use crate::time::Seconds;

/// What a scope means and how long it may be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeTerms {
    /// Its name.
    pub scope: Scope,
    /// What it opens, for people.
    pub description: String,
    /// The group that answers for it.
    pub owner: Group,
    /// The servers that it opens.
    pub servers: Vec<SpiffeId>,
    /// How it is written into the SAN.
    pub encoding: Encoding,
    /// The longest life of one elevated SVID.
    pub svid_life: Seconds,
    /// The longest elevation.
    pub elevation_longest: Seconds,
    /// An elevation ends when the access logs of its servers show no use of it for so long; none:
    /// silence ends nothing.
    pub idle_longest: Option<Seconds>,
    /// Whether Envoy's on-demand selector may open an elevation.
    pub on_demand: bool,
}

/// Every scope of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    scopes: BTreeMap<Scope, ScopeTerms>,
}

impl Catalogue {
    /// The terms of a scope, when it is in the catalogue.
    #[must_use]
    pub fn terms(&self, scope: &Scope) -> Option<&ScopeTerms> {
        self.scopes.get(scope)
    }

    /// Every scope in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = &ScopeTerms> {
        self.scopes.values()
    }

    /// Reads the file; faults and warnings go to their lists.
    pub(crate) fn read(text: &str, faults: &mut Vec<Fault>, warnings: &mut Vec<Fault>) -> Self {
        let raw: RawFile = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(wrong) => {
                let byte = wrong.span().map_or(0, |span| span.start);
                faults.push(toml_fault(Place::of(SCOPES_FILE, text, byte), &wrong));
                return Self::default();
            }
        };
        if raw.test_lives {
            warnings.push(Fault::at(
                Place::of(SCOPES_FILE, text, text.find("test_lives").unwrap_or(0)),
                "`test_lives` is on: SVIDs may live as short as 5 s, which no production needs",
                "take it out before this bundle leaves the test bench",
            ));
        }
        if raw.scope.len() > SCOPES_MAX {
            faults.push(Fault::at(
                Place::of(SCOPES_FILE, text, 0),
                format!("more than {SCOPES_MAX} scopes"),
                "split the catalogue between trust domains",
            ));
        }
        let mut scopes = BTreeMap::new();
        let lines = Lines::of(SCOPES_FILE, text);
        for (name, table) in raw.scope {
            let place = lines.place(name.span().start);
            let reader = Reader {
                name: name.into_inner(),
                place,
                life_floor: if raw.test_lives {
                    SVID_LIFE_MIN_IN_TESTS
                } else {
                    SVID_LIFE_MIN
                },
            };
            if let Some(terms) = reader.read(table, faults) {
                reader.warn(&terms, warnings);
                scopes.insert(terms.scope.clone(), terms);
            }
        }
        Self { scopes }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    test_lives: bool,
    #[serde(default)]
    scope: BTreeMap<Spanned<String>, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScope {
    description: String,
    owner: String,
    servers: Vec<String>,
    #[serde(default)]
    encoding: Option<String>,
    svid_life: String,
    elevation_longest: String,
    #[serde(default)]
    idle_longest: Option<String>,
    #[serde(default)]
    on_demand: bool,
}

/// Reads one `[scope."name"]` table.
struct Reader {
    name: String,
    place: Place,
    life_floor: Seconds,
}

impl Reader {
    fn read(&self, table: toml::Value, faults: &mut Vec<Fault>) -> Option<ScopeTerms> {
        let raw: RawScope = match table.try_into() {
            Ok(raw) => raw,
            Err(wrong) => {
                faults.push(toml_fault(self.place.clone(), &wrong));
                return None;
            }
        };
        // Every field is read before the first wrong one ends the scope: all faults at once.
        let scope = self.parsed::<Scope>("name", &self.name, faults);
        let owner = self.parsed::<Group>("owner", &raw.owner, faults);
        let encoding = match raw.encoding.as_deref() {
            None => Some(Encoding::default()),
            Some(text) => self.parsed::<Encoding>("encoding", text, faults),
        };
        let servers: Vec<_> = raw
            .servers
            .iter()
            .map(|server| self.parsed::<SpiffeId>("servers", server, faults))
            .collect();
        let svid_life = self.parsed::<Seconds>("svid_life", &raw.svid_life, faults);
        let longest = self.parsed::<Seconds>("elevation_longest", &raw.elevation_longest, faults);
        let idle = match raw.idle_longest.as_deref() {
            None => Some(None),
            Some(text) => self
                .parsed::<Seconds>("idle_longest", text, faults)
                .map(Some),
        };
        if let (Some(life), Some(longest)) = (svid_life, longest) {
            self.check_lives(life, longest, faults);
        }
        if let (Some(Some(idle)), Some(longest)) = (idle, longest) {
            self.check_idle((idle, longest), &raw.servers, encoding, faults);
        }
        if raw.description.is_empty() || raw.description.len() > DESCRIPTION_BYTES_MAX {
            let text = format!("description is empty or longer than {DESCRIPTION_BYTES_MAX} bytes");
            self.told(&text, "say in one sentence what the scope opens", faults);
        }
        if raw.servers.len() > SERVERS_MAX {
            let text = format!("more than {SERVERS_MAX} servers");
            self.told(&text, "split the scope", faults);
        }
        Some(ScopeTerms {
            scope: scope?,
            description: raw.description,
            owner: owner?,
            servers: servers.into_iter().collect::<Option<_>>()?,
            encoding: encoding?,
            svid_life: svid_life?,
            elevation_longest: longest?,
            idle_longest: idle?,
            on_demand: raw.on_demand,
        })
    }

    fn check_idle(
        &self,
        (idle, longest): (Seconds, Seconds),
        servers: &[String],
        encoding: Option<Encoding>,
        faults: &mut Vec<Fault>,
    ) {
        if idle < IDLE_LONGEST_MIN || longest < idle {
            let text = format!("idle_longest is `{idle}`");
            let remedy = format!("choose {IDLE_LONGEST_MIN} to elevation_longest");
            self.told(&text, remedy, faults);
        }
        if encoding == Some(Encoding::Dns) {
            let text = "idle_longest with `dns`: Envoy's access log tells URI names alone";
            let remedy = "choose `path` or `folded`, or take idle_longest out";
            self.told(text, remedy, faults);
        }
        if servers.is_empty() {
            let text = "idle_longest without servers: no access log could show a use";
            self.told(text, "name the servers, or take idle_longest out", faults);
        }
    }

    /// What is legal and looks wrong.
    fn warn(&self, terms: &ScopeTerms, warnings: &mut Vec<Fault>) {
        if terms
            .idle_longest
            .is_some_and(|idle| idle < terms.svid_life)
        {
            // An access log tells of a request when it is over, which is at the SVID's end at last.
            let text = "idle_longest is shorter than svid_life: one long request may pass for idle";
            self.told(text, "choose at least svid_life", warnings);
        }
    }

    fn check_lives(&self, life: Seconds, longest: Seconds, faults: &mut Vec<Fault>) {
        if life < self.life_floor || SVID_LIFE_MAX < life {
            let text = format!("svid_life is `{life}`");
            let remedy = format!("choose {} to {SVID_LIFE_MAX}", self.life_floor);
            self.told(&text, remedy, faults);
        }
        if longest < life || ELEVATION_LONGEST_MAX < longest {
            let text = format!("elevation_longest is `{longest}`");
            let remedy = format!("choose from svid_life to {ELEVATION_LONGEST_MAX}");
            self.told(&text, remedy, faults);
        }
    }

    fn parsed<T>(&self, key: &str, text: &str, faults: &mut Vec<Fault>) -> Option<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.told(&wrong.to_string(), format!("correct `{key}`"), faults);
                None
            }
        }
    }

    fn told(&self, text: &str, remedy: impl Into<String>, faults: &mut Vec<Fault>) {
        let shown: String = self.name.escape_default().take(TEXT_SHOWN_MAX).collect();
        let text = format!("scope `{shown}`: {text}");
        faults.push(Fault::at(self.place.clone(), text, remedy));
    }
}

fn toml_fault(place: Place, wrong: &toml::de::Error) -> Fault {
    let text = wrong.message().replace('\n', " ");
    Fault::at(place, text, "write the keys that the example bundle shows")
}

/// The shortest life of an elevated SVID.
const SVID_LIFE_MIN: Seconds = Seconds::new(60);
/// The same under `test_lives`.
const SVID_LIFE_MIN_IN_TESTS: Seconds = Seconds::new(5);
/// The longest life of an elevated SVID.
pub const SVID_LIFE_MAX: Seconds = Seconds::new(15 * 60);
/// The longest elevation.
pub const ELEVATION_LONGEST_MAX: Seconds = Seconds::new(8 * 3_600);
/// The shortest idle time: some rounds of what reports uses.
const IDLE_LONGEST_MIN: Seconds = Seconds::new(60);
/// The most scopes in one catalogue.
pub const SCOPES_MAX: usize = 20_000;
const SERVERS_MAX: usize = 64;
const DESCRIPTION_BYTES_MAX: usize = 512;
/// How much of a wrong text a fault repeats, in characters.
const TEXT_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Catalogue, Vec<Fault>, Vec<Fault>) {
        let (mut faults, mut warnings) = (Vec::new(), Vec::new());
        let catalogue = Catalogue::read(text, &mut faults, &mut warnings);
        (catalogue, faults, warnings)
    }

    fn one(life: &str, longest: &str) -> String {
        format!(
            "[scope.\"db.read\"]\ndescription = \"d\"\nowner = \"data\"\nservers = []\n\
             svid_life = \"{life}\"\nelevation_longest = \"{longest}\"\n"
        )
    }

    #[test]
    fn lives_stay_within_their_bounds() {
        for (life, longest, right) in [
            ("60s", "60s", true),
            ("15m", "8h", true),
            ("59s", "1h", false),
            ("901s", "1h", false),
            ("5m", "4m", false),
            ("5m", "28801s", false),
        ] {
            let (catalogue, faults, _) = read(&one(life, longest));
            assert_eq!(faults.is_empty(), right, "{life} {longest} {faults:?}");
            assert_eq!(catalogue.iter().count(), 1);
        }
    }

    #[test]
    fn an_idle_time_has_bounds_and_somebody_who_could_tell_of_a_use() {
        let with = |idle: &str, servers: &str| {
            let text = one("5m", "30m").replace("[]", servers);
            read(&format!("{text}idle_longest = \"{idle}\"\n"))
        };
        let servers = "[\"spiffe://td.example/db\"]";
        for (idle, right) in [
            ("5m", true),
            ("30m", true),
            ("60s", true),
            ("59s", false),
            ("1801s", false),
            ("soon", false),
        ] {
            let (_, faults, _) = with(idle, servers);
            assert_eq!(faults.is_empty(), right, "{idle} {faults:?}");
        }
        let (catalogue, _, warnings) = with("5m", servers);
        let idle = catalogue.iter().next().unwrap().idle_longest;
        assert_eq!((idle, warnings), (Some(Seconds::new(300)), vec![]));
        assert_eq!(with("5m", "[]").1.len(), 1, "nobody to tell");
        assert_eq!(with("4m", servers).2.len(), 1, "shorter than a request");
        let (catalogue, ..) = read(&one("5m", "30m"));
        assert_eq!(catalogue.iter().next().unwrap().idle_longest, None);
    }

    #[test]
    fn short_lives_for_tests_are_told_loudly() {
        let text = format!("test_lives = true\n{}", one("5s", "1m"));
        let (catalogue, faults, warnings) = read(&text);
        assert_eq!((catalogue.iter().count(), faults), (1, vec![]));
        assert_eq!(warnings.len(), 1);
        assert!(!read(&text.replace("5s", "4s")).1.is_empty());
    }

    #[test]
    fn every_wrong_field_is_told_with_its_scopes_place() {
        let text = "\n[scope.\"DB\"]\ndescription = \"\"\nowner = \"A\"\nservers = [\"x\"]\n\
                    encoding = \"pth\"\nsvid_life = \"5\"\nelevation_longest = \"1w\"\n\
                    [scope.b]\nowners = 1\n";
        let (_, faults, _) = read(text);
        assert_eq!(faults.len(), 8, "{faults:#?}");
        assert!(faults.iter().take(7).all(|fault| fault.place.line == 2));
        assert_eq!(faults.last().unwrap().place.line, 9);
    }
}
