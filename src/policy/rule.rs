//! One policy of a bundle beside its Cedar form: its id, place and annotations.
//!
//! | Annotation | On | Means |
//! |---|---|---|
//! | `@id("name")` | every policy | its name in verdicts and events |
//! | `@route("sre:2")` | permit | permits once so many of each group approved |
//! | `@needs("security:1")` | forbid | forbids until so many of each group approved |
//! | `@reason("...")` | forbid | what the caller is told |
//!
//! Refuses: every other annotation, for a misspelt one would be silent; and templates.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{ActionConstraint, Effect, Policy, PolicySet, ResourceConstraint};
use serde_json::Value;

use crate::policy::fault::{FAULTS_MAX, Fault, Lines, Place};
use crate::policy::fold;
use crate::policy::need::{Need, needs};
use crate::policy::nesting::{OPERATORS_MAX, too_deep};
use crate::policy::question::Action;

/// The `@id` of a policy: `a-z 0-9 -`, at most 64 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(Arc<str>);

/// The text is no policy id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no policy id: use `a-z 0-9 -`, at most 64 bytes")]
pub struct PolicyIdError(String);

/// What is kept of a policy beside its Cedar form.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: PolicyId,
    pub(crate) place: Place,
    pub(crate) forbids: bool,
    pub(crate) actions: BTreeSet<Action>,
    /// Of `@route` or `@needs`.
    pub(crate) approvals: Vec<Need>,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) reads_source: bool,
    pub(crate) reads_time: bool,
}

/// A policy as it was read: its rule, its Cedar form under the same id, and its condition.
pub(crate) struct Read {
    pub(crate) rule: Rule,
    pub(crate) policy: Policy,
    pub(crate) condition: Value,
    pub(crate) reads: fold::Reads,
    /// The scope that its head is pinned to: `resource == Scope::"..."`.
    pub(crate) pinned: Option<String>,
}

/// Reads a Cedar file; what is wrong goes to `faults`.
pub(crate) fn read_file(file: &str, text: &str, faults: &mut Vec<Fault>) -> Vec<Read> {
    if let Some(byte) = too_deep(text) {
        let place = Place::of(file, text, byte);
        let wrong = format!("the policy has more than {OPERATORS_MAX} operators");
        let remedy = "split it into several policies, or use a set and `contains`";
        faults.push(Fault::at(place, wrong, remedy));
        return Vec::new();
    }
    let set: PolicySet = match text.parse() {
        Ok(set) => set,
        Err(wrong) => {
            for wrong in wrong.iter().take(FAULTS_MAX) {
                let detail = DetailedError::from(wrong);
                faults.push(cedar_fault(
                    file,
                    text,
                    &detail,
                    "write it as Cedar's grammar says",
                ));
            }
            return Vec::new();
        }
    };
    if set.num_of_templates() > 0 {
        let place = Place::of(file, text, text.find('?').unwrap_or(0));
        let remedy = "name entities instead of `?principal` and `?resource`";
        faults.push(Fault::at(place, "the file holds a template", remedy));
    }
    // Cedar numbers the policies of a text in their order: `policy0`, `policy1`, ...
    let mut policies: Vec<_> = set.policies().collect();
    policies.sort_by_key(|policy| {
        let id: &str = policy.id().as_ref();
        id.trim_start_matches("policy")
            .parse::<usize>()
            .unwrap_or(0)
    });
    let lines = Lines::of(file, text);
    let mut cursor = 0_usize;
    let mut all = Vec::new();
    for policy in policies {
        let own = policy.to_string();
        let found = text.get(cursor..).and_then(|rest| rest.find(&own));
        let start = cursor.saturating_add(found.unwrap_or(0));
        cursor = start.saturating_add(own.len());
        all.extend(read_policy(policy, lines.place(start), faults));
    }
    all
}

/// A fault from what Cedar says about a text.
pub(crate) fn cedar_fault(file: &str, text: &str, wrong: &DetailedError, remedy: &str) -> Fault {
    let byte = wrong
        .source_locations
        .first()
        .map_or(0, |label| label.loc.start);
    let remedy = wrong.help.as_deref().unwrap_or(remedy);
    let message = wrong.message.replace('\n', " ");
    Fault::at(
        Place::of(file, text, byte),
        message,
        remedy.replace('\n', " "),
    )
}

fn read_policy(policy: &Policy, place: Place, faults: &mut Vec<Fault>) -> Option<Read> {
    let forbids = policy.effect() == Effect::Forbid;
    let id = read_id(policy, &place, faults);
    let json = match policy.to_json() {
        Ok(json) => json,
        Err(wrong) => {
            let remedy = "write it with constructs that Cedar's JSON form has";
            faults.push(Fault::at(place, wrong.to_string(), remedy).within(id.as_str()));
            return None;
        }
    };
    let condition = fold::condition(&json);
    let reads = fold::reads(&condition);
    let pinned = match policy.resource_constraint() {
        ResourceConstraint::Eq(uid) if uid.type_name().to_string() == "Scope" => {
            Some(uid.id().unescaped().to_owned())
        }
        _ => None,
    };
    let mut told = |text: String, remedy: &str| {
        faults.push(Fault::at(place.clone(), text, remedy).within(id.as_str()));
    };
    let mut approvals = Vec::new();
    let mut reason = None;
    for (name, value) in policy.annotations() {
        match (name, forbids) {
            ("id", _) => {}
            ("route", false) | ("needs", true) => match needs(value) {
                Ok(read) => approvals = read,
                Err(wrong) => told(wrong.to_string(), "write each group once, joined by `,`"),
            },
            ("route", true) => told(
                "a forbid carries `@route`".to_owned(),
                "use `@needs` for what lifts it",
            ),
            ("needs", false) => told(
                "a permit carries `@needs`".to_owned(),
                "use `@route` for what it asks",
            ),
            ("reason", true) if is_line(value) => reason = Some(Arc::from(value)),
            ("reason", _) => told(
                "`@reason` is on a permit, empty, or not one line".to_owned(),
                "tell in one line of at most 200 bytes why a forbid forbids",
            ),
            (other, _) => told(
                format!("annotation `@{other}` means nothing here"),
                "use `@id`, `@route`, `@needs`, `@reason`",
            ),
        }
    }
    let rule = Rule {
        actions: actions(&policy.action_constraint()),
        reads_source: reads.source,
        reads_time: reads.time,
        id: id.clone(),
        place,
        forbids,
        approvals,
        reason,
    };
    let policy = policy.new_id(cedar_policy::PolicyId::new(id.as_str()));
    Some(Read {
        rule,
        policy,
        condition,
        reads,
        pinned,
    })
}

fn read_id(policy: &Policy, place: &Place, faults: &mut Vec<Fault>) -> PolicyId {
    let wrong = match policy.annotation("id").map(str::parse::<PolicyId>) {
        Some(Ok(id)) => return id,
        Some(Err(wrong)) => wrong.to_string(),
        None => "the policy has no `@id`".to_owned(),
    };
    let remedy = "write `@id(\"what-it-rules\")` before it";
    faults.push(Fault::at(place.clone(), wrong, remedy));
    // Stands in until the author gives one: a bundle with faults never comes to be.
    PolicyId(place.to_string().into())
}

fn actions(constraint: &ActionConstraint) -> BTreeSet<Action> {
    let named = |uids: &[cedar_policy::EntityUid]| {
        let is_named = |action: &Action| {
            uids.iter()
                .any(|uid| uid.id().unescaped() == action.as_str())
        };
        Action::ALL.into_iter().filter(is_named).collect()
    };
    match constraint {
        ActionConstraint::Any => Action::ALL.into(),
        ActionConstraint::Eq(uid) => named(std::slice::from_ref(uid)),
        ActionConstraint::In(uids) => named(uids),
    }
}

fn is_line(text: &str) -> bool {
    (1..=REASON_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl PolicyId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PolicyId {
    type Err = PolicyIdError;

    fn from_str(text: &str) -> Result<Self, PolicyIdError> {
        let legal = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=POLICY_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            let shown = text.chars().take(POLICY_ID_BYTES_MAX);
            Err(PolicyIdError(
                shown.flat_map(char::escape_default).collect(),
            ))
        }
    }
}

impl Borrow<str> for PolicyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest policy id, in bytes.
pub const POLICY_ID_BYTES_MAX: usize = 64;
const REASON_BYTES_MAX: usize = 200;
