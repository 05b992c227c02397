//! The tests that a bundle carries: `tests/*.toml`, each a supposed question and its answer.
//!
//! ```toml
//! [[test]]
//! name = "web reads with a reason"
//! subject = "spiffe://prod.example/ns/demo/sa/web"
//! groups = ["demo"]                 # of its registration entry; also selectors, owner
//! scope = "db.read"                 # with act = "issue", "read_audit", "revoke", "operate": none
//! asked = "10m"
//! at = "2026-01-07T12:00:00Z"
//! has_reason = true                 # also ticket, scheduled, on_demand, break_glass, source
//! approvals = { sre = 1 }
//! expect = "permit"                 # permit, pending, denied
//! by = ["web-reads"]                # exactly these policies, where given
//! waits_for = ["sre:2"]             # one way, route and needs joined, where given
//! ```
//!
//! Promises: what runs here is the engine itself; every test of a file is told, a file that
//! cannot be read is a failing test. Refuses: unknown keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

use crate::id::PolicyVersion;
use crate::identity::Subject;
use crate::policy::bundle::Bundle;
use crate::policy::facts::{ElevationFact, EntryFact, FactParts, MintingFact, PolicyFact};
use crate::policy::need::{Approvals, Need, WaitsFor};
use crate::policy::outlook::{Outlook, suppose};
use crate::policy::question::{Act, Ask, ElevateAct, OperateVerb, Principal, RevokeAct};
use crate::policy::source::{BundleSource, is_test_file};
use crate::time::Seconds;

/// How one test of a bundle ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// The file it is in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// None for passed; else what was expected, what was observed, and why.
    pub failure: Option<String>,
}

/// Runs every test of a bundle, in the order of files and of their texts.
#[must_use]
pub fn run_tests(bundle: &Bundle, source: &BundleSource) -> Vec<TestOutcome> {
    let mut outcomes = Vec::new();
    for (file, text) in source.files().filter(|(file, _)| is_test_file(file)) {
        let mut tell = |name: String, failure: Option<String>| {
            outcomes.push(TestOutcome {
                file: file.to_owned(),
                name,
                failure,
            });
        };
        match toml::from_str::<RawSuite>(text) {
            Err(wrong) => tell("(the file)".to_owned(), Some(wrong.to_string())),
            Ok(suite) if suite.test.len() > SUITE_TESTS_MAX => {
                let failure = format!("more than {SUITE_TESTS_MAX} tests: split the file");
                tell("(the file)".to_owned(), Some(failure));
            }
            Ok(suite) => {
                for test in suite.test {
                    let failure = test.run(bundle).err();
                    tell(test.name, failure);
                }
            }
        }
    }
    outcomes
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSuite {
    #[serde(default)]
    test: Vec<RawTest>,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of a test file"
)]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    name: String,
    #[serde(default)]
    act: RawAct,
    /// The workload: who asks, and for an elevation or SVID whom it names.
    subject: Option<String>,
    #[serde(default)]
    asked_by: RawAsker,
    #[serde(default)]
    caller_elevated: bool,
    #[serde(default)]
    registered: Option<bool>,
    #[serde(default)]
    selectors: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    owner: Option<String>,
    scope: Option<String>,
    #[serde(default)]
    asked: Option<String>,
    at: String,
    #[serde(default)]
    source: Option<IpAddr>,
    #[serde(default)]
    has_reason: bool,
    #[serde(default)]
    ticket: Option<String>,
    #[serde(default)]
    scheduled: bool,
    #[serde(default)]
    on_demand: bool,
    #[serde(default)]
    break_glass: bool,
    #[serde(default)]
    approvals: BTreeMap<String, u32>,
    #[serde(default)]
    verb: Option<String>,
    #[serde(default)]
    own: bool,
    expect: RawExpectation,
    by: Option<Vec<String>>,
    waits_for: Option<Vec<String>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawAct {
    #[default]
    Elevate,
    Issue,
    Operate,
    ReadAudit,
    Revoke,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawAsker {
    #[default]
    Subject,
    Deputy,
    Operator,
    Stranger,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawExpectation {
    Denied,
    Pending,
    Permit,
}

impl RawTest {
    fn run(&self, bundle: &Bundle) -> Result<(), String> {
        let ask = Ask {
            principal: self.principal()?,
            act: self.act()?,
            source: self.source,
        };
        let parts = self.parts(bundle, &ask.act)?;
        let at = parsed("at", &self.at)?;
        let outlook = suppose(bundle, &ask, &parts, at, Seconds::default());
        self.compare(&outlook)
    }

    fn compare(&self, outlook: &Outlook) -> Result<(), String> {
        let because = || {
            let by: Vec<_> = outlook
                .policies
                .iter()
                .map(|(id, at)| format!("{id} at {at}"))
                .collect();
            let by = if by.is_empty() {
                "no policy".to_owned()
            } else {
                by.join(", ")
            };
            let changes = outlook.changes.join("; ");
            format!(
                "{} ({by}); would change it: {}",
                outlook.text,
                or_none(&changes)
            )
        };
        let (expected, observed) = (self.expect.as_str(), outlook.forecast.as_str());
        if expected != observed {
            let why = because();
            return Err(format!(
                "expected `{expected}`, observed `{observed}`: {why}"
            ));
        }
        if let Some(by) = &self.by {
            let expected: BTreeSet<_> = by.iter().map(String::as_str).collect();
            let observed: BTreeSet<_> =
                outlook.policies.iter().map(|(id, _)| id.as_str()).collect();
            if expected != observed {
                let why = because();
                return Err(format!(
                    "expected it by {expected:?}, observed {observed:?}: {why}"
                ));
            }
        }
        if let Some(needs) = &self.waits_for {
            let expected = needs_of(needs)?;
            let ways: Vec<_> = outlook.waits_for.iter().flat_map(WaitsFor::ways).collect();
            if !ways.iter().any(|way| way.approvals() == expected) {
                let observed = outlook.waits_for.as_ref().map(ToString::to_string);
                let observed = observed.unwrap_or_else(|| "nothing".to_owned());
                return Err(format!(
                    "expected to wait for {needs:?}, observed {observed}"
                ));
            }
        }
        Ok(())
    }

    fn act(&self) -> Result<Act, String> {
        let subject = || -> Result<Subject, String> {
            parsed("subject", self.wanted("subject", self.subject.as_ref())?)
        };
        Ok(match self.act {
            RawAct::Elevate => Act::Elevate(ElevateAct {
                subject: subject()?,
                scope: parsed("scope", self.wanted("scope", self.scope.as_ref())?)?,
                asked: parsed("asked", self.wanted("asked", self.asked.as_ref())?)?,
                has_reason: self.has_reason,
                ticket: self
                    .ticket
                    .as_ref()
                    .map(|t| parsed("ticket", t))
                    .transpose()?,
                scheduled: self.scheduled,
                on_demand: self.on_demand,
                break_glass: self.break_glass,
            }),
            RawAct::Issue => Act::Issue {
                subject: subject()?,
            },
            RawAct::Operate => {
                let wanted = self.wanted("verb", self.verb.as_ref())?;
                let known = OperateVerb::ALL
                    .into_iter()
                    .find(|verb| verb.as_str() == wanted);
                Act::Operate(known.ok_or_else(|| format!("`{wanted}` is no verb of operate"))?)
            }
            RawAct::ReadAudit => Act::ReadAudit {
                of: self.own.then(subject).transpose()?,
            },
            RawAct::Revoke => Act::Revoke(RevokeAct {
                subject: self.own.then(subject).transpose()?,
                scope: self
                    .scope
                    .as_ref()
                    .map(|s| parsed("scope", s))
                    .transpose()?,
            }),
        })
    }

    fn principal(&self) -> Result<Principal, String> {
        let subject: &str = match self.asked_by {
            RawAsker::Operator => return Ok(Principal::Operator(numbered("op")?)),
            RawAsker::Subject => self.wanted("subject", self.subject.as_ref())?,
            RawAsker::Deputy => DEPUTY,
            RawAsker::Stranger => "spiffe://stranger.test/stranger",
        };
        Ok(Principal::Workload {
            subject: parsed("subject", subject)?,
            elevated: self.caller_elevated,
        })
    }

    fn parts(&self, bundle: &Bundle, act: &Act) -> Result<FactParts, String> {
        let mut entry = None;
        if let Some(subject) = &self.subject
            && self.registered.unwrap_or(true)
        {
            entry = Some(
                EntryFact {
                    id: numbered("en")?,
                    version: 1,
                    subject: parsed("subject", subject)?,
                    selectors: all("selectors", &self.selectors)?,
                    owner: parsed("owner", self.owner.as_deref().unwrap_or("nobody"))?,
                    groups: all("groups", &self.groups)?,
                    deputies: vec![parsed("subject", DEPUTY)?],
                    life: Seconds::new(3_600),
                }
                .into(),
            );
        }
        let mut approvals = Approvals::new();
        for (group, count) in &self.approvals {
            approvals.insert(parsed("approvals", group)?, *count);
        }
        let mut elevation = None;
        if let Act::Elevate(act) = act {
            elevation = Some(ElevationFact {
                id: numbered("el")?,
                version: 1,
                subject: act.subject.clone(),
                scope: act.scope.clone(),
                approvals,
                requester: self.principal()?,
            });
        }
        let version = PolicyVersion::new(1).ok_or("no first version")?;
        Ok(FactParts {
            policy: PolicyFact {
                version,
                digest: bundle.digest(),
            },
            minting: MintingFact {
                stopped: false,
                version: 1,
            },
            entry,
            elevation,
            signals: Vec::new(),
        })
    }

    fn wanted<'a>(&self, key: &str, value: Option<&'a String>) -> Result<&'a str, String> {
        let missing = || format!("the test `{}` needs `{key}`", self.name);
        value.map(String::as_str).ok_or_else(missing)
    }
}

impl RawExpectation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Pending => "pending",
            Self::Permit => "permit",
        }
    }
}

fn needs_of(texts: &[String]) -> Result<Approvals, String> {
    let needs: Vec<Need> = all("waits_for", texts)?;
    Ok(needs
        .into_iter()
        .map(|need| (need.group, need.count))
        .collect())
}

fn all<T: FromStr<Err: std::fmt::Display>>(key: &str, texts: &[String]) -> Result<Vec<T>, String> {
    texts.iter().map(|text| parsed(key, text)).collect()
}

/// An id that stands in a test for the one thing of its kind.
fn numbered<T: FromStr<Err: std::fmt::Display>>(prefix: &str) -> Result<T, String> {
    parsed("id", &format!("{prefix}-{:032x}", 1))
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(key: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|wrong| format!("`{key}`: {wrong}"))
}

const fn or_none(text: &str) -> &str {
    if text.is_empty() {
        "nothing simple"
    } else {
        text
    }
}

/// The deputy of every entry in a test.
const DEPUTY: &str = "spiffe://deputy.test/deputy";
/// The most tests of one file.
pub const SUITE_TESTS_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: [(&str, &str); 7] = [
        ("scopes.toml", include_str!("../../policy/scopes.toml")),
        ("issue.cedar", include_str!("../../policy/issue.cedar")),
        ("elevate.cedar", include_str!("../../policy/elevate.cedar")),
        ("operate.cedar", include_str!("../../policy/operate.cedar")),
        (
            "tests/issue.toml",
            include_str!("../../policy/tests/issue.toml"),
        ),
        (
            "tests/elevate.toml",
            include_str!("../../policy/tests/elevate.toml"),
        ),
        (
            "tests/operate.toml",
            include_str!("../../policy/tests/operate.toml"),
        ),
    ];

    fn example() -> (Bundle, BundleSource) {
        let source = BundleSource::collect(EXAMPLE).unwrap();
        let bundle = Bundle::compile(&source).unwrap_or_else(|faults| panic!("{faults}"));
        (bundle, source)
    }

    #[test]
    fn the_example_keeps_its_own_tests() {
        let (bundle, source) = example();
        assert_eq!(
            bundle.warnings().collect::<Vec<_>>(),
            Vec::<&crate::policy::Fault>::new()
        );
        let outcomes = run_tests(&bundle, &source);
        let failed: Vec<_> = outcomes
            .iter()
            .filter(|test| test.failure.is_some())
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert_eq!(outcomes.len(), 21);
    }

    #[test]
    fn a_failing_test_says_what_it_saw_and_what_would_change_it() {
        let failing = r#"
            [[test]]
            name = "no reason"
            subject = "spiffe://dev.protem.test/ns/demo/sa/web"
            groups = ["demo"]
            scope = "db.read"
            asked = "10m"
            at = "2026-01-07T12:00:00Z"
            expect = "permit"
            [[test]]
            name = "no scope"
            subject = "spiffe://dev.protem.test/ns/demo/sa/web"
            at = "2026-01-07T12:00:00Z"
            expect = "permit"
        "#;
        let files = EXAMPLE.into_iter().chain([
            ("tests/x.toml", failing),
            ("tests/y.toml", "[[test]]\nnaem = 1"),
        ]);
        let source = BundleSource::collect(files).unwrap();
        let outcomes = run_tests(&example().0, &source);
        let failures: Vec<_> = outcomes
            .into_iter()
            .filter_map(|test| test.failure)
            .collect();
        let [permit, scope, file] = failures.as_slice() else {
            panic!("{failures:#?}")
        };
        assert!(
            permit.contains("expected `permit`, observed `denied`"),
            "{permit}"
        );
        assert!(
            permit.contains("would change it: give a reason"),
            "{permit}"
        );
        assert!(scope.contains("needs `scope`"), "{scope}");
        assert!(file.contains("naem"), "{file}");
    }
}
