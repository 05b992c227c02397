//! The question as Cedar sees it: entities and context, in the words of `schema.cedarschema`.
//!
//! Promises: time is cut to the whole minute before a policy sees it, so a verdict holds for the
//! rest of its minute; what is built here conforms to the schema (a test builds every kind of
//! question with the schema's own check, the hot path leaves it out).

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression as Value, Schema,
};

use crate::identity::{Group, Subject};
use crate::policy::catalogue::ScopeTerms;
use crate::policy::facts::{EntryFact, FactParts};
use crate::policy::need::Approvals;
use crate::policy::question::{Act, Action, Ask, ElevateAct, Principal, RevokeAct};
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};

/// The schema and the names of its types, read once for each bundle.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) schema: Schema,
    pub(crate) kinds: Kinds,
}

/// The entity types of the schema.
#[derive(Debug)]
pub(crate) struct Kinds {
    action: EntityTypeName,
    asker: EntityTypeName,
    authority: EntityTypeName,
    pub(crate) elevation: EntityTypeName,
    pub(crate) group: EntityTypeName,
    ledger: EntityTypeName,
    pub(crate) operator: EntityTypeName,
    pub(crate) scope: EntityTypeName,
    pub(crate) signals: EntityTypeName,
    verb: EntityTypeName,
    pub(crate) workload: EntityTypeName,
}

/// Why a question cannot be put; a verdict on it is a denial.
#[derive(Debug, thiserror::Error)]
#[error("the question cannot be put to policy: {0}")]
pub(crate) struct ModelError(String);

/// One question with its facts, to be put at one moment or at many.
pub(crate) struct Scene<'a> {
    kinds: &'a Kinds,
    parts: &'a FactParts,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    /// The context but for the time.
    steady: Pairs,
    reads_time: bool,
    /// The entities but for the signals, whose freshness has an end.
    entities: Entities,
}

/// One question at one moment, ready for Cedar.
pub(crate) struct Put {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// What a question is put with, beside the model.
#[derive(Clone, Copy)]
pub(crate) struct Supposed<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) parts: &'a FactParts,
    pub(crate) terms: Option<&'a ScopeTerms>,
    pub(crate) approvals: &'a Approvals,
    pub(crate) reads: ContextReads,
}

/// The costly parts of the context, left out where no policy that is asked reads them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContextReads {
    pub(crate) source: bool,
    pub(crate) time: bool,
}

impl Model {
    /// The compiled-in schema.
    pub(crate) fn read() -> Result<Self, ModelError> {
        let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).map_err(told)?;
        let kind = |name: &str| name.parse::<EntityTypeName>().map_err(told);
        let kinds = Kinds {
            action: kind("Action")?,
            asker: kind("Asker")?,
            authority: kind("Authority")?,
            elevation: kind("Elevation")?,
            group: kind("Group")?,
            ledger: kind("Ledger")?,
            operator: kind("Operator")?,
            scope: kind("Scope")?,
            signals: kind("Signals")?,
            verb: kind("Verb")?,
            workload: kind("Workload")?,
        };
        Ok(Self { schema, kinds })
    }

    /// Sets a question up.
    pub(crate) fn scene<'a>(&'a self, supposed: Supposed<'a>) -> Result<Scene<'a>, ModelError> {
        let kinds = &self.kinds;
        let ask = supposed.ask;
        let principal = match (&ask.act, &ask.principal) {
            // Whoever asks, the principal is the workload that would hold the certificate.
            (Act::Elevate(ElevateAct { subject, .. }) | Act::Issue { subject }, _)
            | (_, Principal::Workload { subject, .. }) => kinds.of_subject(subject),
            (_, Principal::Operator(id)) => uid(&kinds.operator, &id.to_string()),
        };
        let resource = match &ask.act {
            Act::Elevate(ElevateAct { scope, .. })
            | Act::Revoke(RevokeAct {
                scope: Some(scope), ..
            }) => kinds.of_scope(scope),
            Act::ReadAudit { .. } => uid(&kinds.ledger, "events"),
            Act::Issue { .. } | Act::Operate(_) | Act::Revoke(_) => kinds.of_protem(),
        };
        Ok(Scene {
            kinds,
            parts: supposed.parts,
            principal,
            action: kinds.of_action(ask.act.action()),
            resource,
            steady: kinds.context(supposed),
            reads_time: supposed.reads.time,
            entities: kinds.entities(supposed)?,
        })
    }
}

impl Scene<'_> {
    /// Puts the question at a moment; with the schema's check where one is given.
    pub(crate) fn put(&self, at: Timestamp, check: Option<&Schema>) -> Result<Put, ModelError> {
        let pairs = self.steady.iter().cloned();
        let time = self.reads_time.then(|| moment(at)).transpose()?;
        let pairs = pairs.chain(time.map(|time| ("time".to_owned(), time)));
        let request = Request::new(
            self.principal.clone(),
            self.action.clone(),
            self.resource.clone(),
            Context::from_pairs(pairs).map_err(told)?,
            check,
        );
        let mut entities = self.entities.clone();
        if !self.parts.signals.is_empty() {
            let signals = self.kinds.signals(self.parts, at)?;
            entities = entities.add_entities([signals], check).map_err(told)?;
        }
        Ok(Put {
            request: request.map_err(told)?,
            entities,
        })
    }
}

impl Kinds {
    fn of_action(&self, action: Action) -> EntityUid {
        uid(&self.action, action.as_str())
    }

    fn of_group(&self, group: &Group) -> EntityUid {
        uid(&self.group, group.as_str())
    }

    fn of_protem(&self) -> EntityUid {
        uid(&self.authority, "protem")
    }

    fn of_scope(&self, scope: &Scope) -> EntityUid {
        uid(&self.scope, scope.as_str())
    }

    fn of_subject(&self, subject: &Subject) -> EntityUid {
        uid(&self.workload, &subject.to_string())
    }

    fn of_elevation(&self, parts: &FactParts) -> EntityUid {
        match &parts.elevation {
            Some(elevation) => uid(&self.elevation, &elevation.id.to_string()),
            None => uid(&self.elevation, "requested"),
        }
    }

    fn of_signals(&self) -> EntityUid {
        uid(&self.signals, "known")
    }

    /// The workload as it was put before, and what is asked for.
    fn entities(&self, supposed: Supposed<'_>) -> Result<Entities, ModelError> {
        let known = match &supposed.parts.entry {
            Some(entry) => entry.in_cedar(|entry| self.workload(entry))?,
            None => Entities::empty(),
        };
        let mut entities = Vec::new();
        if let Some(terms) = supposed.terms {
            entities.push(self.scope(terms)?);
        }
        if matches!(supposed.ask.act, Act::Elevate(_)) {
            let tag = |(group, count): (&Group, &u32)| {
                (group.to_string(), Value::new_long(i64::from(*count)))
            };
            let given = supposed.approvals.iter().filter(|(_, count)| **count > 0);
            let uid = self.of_elevation(supposed.parts);
            entities.push(Entity::new_with_tags(uid, [], [], given.map(tag)).map_err(told)?);
        }
        if entities.is_empty() {
            return Ok(known);
        }
        known.add_entities(entities, None).map_err(told)
    }

    fn workload(&self, entry: &EntryFact) -> Result<Entities, ModelError> {
        let id = entry.subject.id();
        let text = |text: &str| Value::new_string(text.to_owned());
        let selectors = entry.selectors.iter().map(|s| text(s.as_str()));
        let attributes = HashMap::from([
            ("trust_domain".to_owned(), text(id.trust_domain().as_str())),
            ("path".to_owned(), text(id.path())),
            ("selectors".to_owned(), Value::new_set(selectors)),
            (
                "owner".to_owned(),
                Value::new_entity_uid(self.of_group(&entry.owner)),
            ),
        ]);
        let groups: HashSet<_> = entry.groups.iter().map(|g| self.of_group(g)).collect();
        let workload = Entity::new(self.of_subject(&entry.subject), attributes, groups);
        Entities::from_entities([workload.map_err(told)?], None).map_err(told)
    }

    fn scope(&self, terms: &ScopeTerms) -> Result<Entity, ModelError> {
        let attributes = HashMap::from([
            (
                "owner".to_owned(),
                Value::new_entity_uid(self.of_group(&terms.owner)),
            ),
            ("svid_life_s".to_owned(), seconds(terms.svid_life)),
            (
                "elevation_longest_s".to_owned(),
                seconds(terms.elevation_longest),
            ),
            ("on_demand".to_owned(), Value::new_bool(terms.on_demand)),
        ]);
        Entity::new(self.of_scope(&terms.scope), attributes, HashSet::new()).map_err(told)
    }

    fn signals(&self, parts: &FactParts, at: Timestamp) -> Result<Entity, ModelError> {
        let mut tags = Vec::new();
        for signal in &parts.signals {
            let fresh = signal.source_fresh && signal.holds(at);
            let state = Value::new_record([
                ("active".to_owned(), Value::new_bool(signal.active)),
                ("source_fresh".to_owned(), Value::new_bool(fresh)),
            ]);
            tags.push((signal.name.clone(), state.map_err(told)?));
        }
        Entity::new_with_tags(self.of_signals(), [], [], tags).map_err(told)
    }

    fn context(&self, supposed: Supposed<'_>) -> Pairs {
        let Supposed { ask, parts, .. } = supposed;
        let elevated = matches!(ask.principal, Principal::Workload { elevated: true, .. });
        let mut pairs = vec![
            flag("caller_elevated", elevated),
            (
                "signals".to_owned(),
                Value::new_entity_uid(self.of_signals()),
            ),
        ];
        if let Some(source) = ask.source.filter(|_| supposed.reads.source) {
            pairs.push(("source".to_owned(), Value::new_ip(source.to_string())));
        }
        let itself = |subject: Option<&Subject>| match &ask.principal {
            Principal::Operator(_) => false,
            Principal::Workload { subject: own, .. } => subject == Some(own),
        };
        match &ask.act {
            Act::Elevate(act) => {
                pairs.push(self.asker(ask, parts));
                pairs.extend(self.elevate_context(act, parts));
            }
            Act::Issue { .. } => pairs.push(self.asker(ask, parts)),
            Act::Operate(verb) => {
                let verb = Value::new_entity_uid(uid(&self.verb, verb.as_str()));
                pairs.push(("verb".to_owned(), verb));
            }
            Act::ReadAudit { of } => pairs.push(flag("own", itself(of.as_ref()))),
            Act::Revoke(act) => {
                pairs.push(flag("own", itself(act.subject.as_ref())));
                let everything = act.subject.is_none() && act.scope.is_none();
                pairs.push(flag("everything", everything));
            }
        }
        pairs
    }

    fn elevate_context(&self, act: &ElevateAct, parts: &FactParts) -> Pairs {
        let elevation = Value::new_entity_uid(self.of_elevation(parts));
        let mut pairs = vec![
            ("elevation".to_owned(), elevation),
            ("asked_s".to_owned(), seconds(act.asked)),
            flag("has_reason", act.has_reason),
            flag("has_ticket", act.ticket.is_some()),
            flag("scheduled", act.scheduled),
            flag("on_demand", act.on_demand),
            flag("break_glass", act.break_glass),
        ];
        if let Some(ticket) = &act.ticket {
            let ticket = Value::new_string(ticket.to_string());
            pairs.push(("ticket".to_owned(), ticket));
        }
        pairs
    }

    fn asker(&self, ask: &Ask, parts: &FactParts) -> (String, Value) {
        let deputies = parts.entry.iter().flat_map(|entry| &entry.deputies);
        let who = match &ask.principal {
            Principal::Operator(_) => "operator",
            Principal::Workload { subject, .. } => {
                if Some(subject) == ask.entry_subject() {
                    "subject"
                } else if deputies.clone().any(|deputy| deputy == subject) {
                    "deputy"
                } else {
                    "stranger"
                }
            }
        };
        let value = Value::new_entity_uid(uid(&self.asker, who));
        ("asked_by".to_owned(), value)
    }
}

type Pairs = Vec<(String, Value)>;

fn moment(at: Timestamp) -> Result<Value, ModelError> {
    let minute = at.whole_minute();
    let date = minute.date_time();
    let minute_of_day = i64::from(date.hour()) * 60 + i64::from(date.minute());
    let weekday = i64::from(date.weekday().number_from_monday());
    Value::new_record([
        ("now".to_owned(), Value::new_datetime(minute.rfc3339())),
        ("minute_of_day".to_owned(), Value::new_long(minute_of_day)),
        ("weekday".to_owned(), Value::new_long(weekday)),
    ])
    .map_err(told)
}

fn seconds(span: Seconds) -> Value {
    Value::new_long(i64::from(span.count()))
}

fn flag(name: &str, on: bool) -> (String, Value) {
    (name.to_owned(), Value::new_bool(on))
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn told(wrong: impl std::fmt::Display) -> ModelError {
    ModelError(wrong.to_string())
}

/// The schema of every bundle.
pub(crate) const SCHEMA: &str = include_str!("schema.cedarschema");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::OperatorId;
    use crate::id::entropy::Entropy;
    use crate::policy::OperateVerb;
    use crate::policy::tests::{ask, at, bundle_with, elevate, parts, web};

    #[test]
    fn every_kind_of_question_conforms_to_the_schema() {
        let bundle = bundle_with("");
        let operator = Principal::Operator(OperatorId::random(&Entropy::seeded(1)));
        let workload = ask(Act::Issue { subject: web() }).principal;
        let mut full = elevate("db.write");
        if let Act::Elevate(act) = &mut full.act {
            act.ticket = Some("OPS-1".parse().unwrap());
        }
        let revoke = |subject, scope| Act::Revoke(RevokeAct { subject, scope });
        let mut acts = vec![
            full.act,
            Act::Issue { subject: web() },
            Act::ReadAudit { of: Some(web()) },
            revoke(None, None),
            revoke(Some(web()), Some("db.read".parse().unwrap())),
        ];
        acts.extend(OperateVerb::ALL.map(Act::Operate));
        for (act, principal) in acts
            .iter()
            .flat_map(|act| [(act, &operator), (act, &workload)])
        {
            let ask = Ask {
                principal: principal.clone(),
                act: act.clone(),
                source: Some("2001:db8::1".parse().unwrap()),
            };
            let facts = parts(&bundle);
            let supposed = Supposed {
                ask: &ask,
                parts: &facts,
                terms: ask
                    .scope()
                    .and_then(|scope| bundle.catalogue().terms(scope)),
                approvals: &facts.elevation.as_ref().unwrap().approvals,
                reads: ContextReads {
                    source: true,
                    time: true,
                },
            };
            let model = bundle.model();
            let put = model.scene(supposed).unwrap();
            let put = put.put(at("2026-01-07T12:00:00Z"), Some(&model.schema));
            let put = put.unwrap_or_else(|wrong| panic!("{ask:?}: {wrong}"));
            let entities = put.entities.iter().cloned();
            Entities::from_entities(entities, Some(&model.schema)).unwrap();
        }
    }
}
