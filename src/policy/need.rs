//! Approvals in numbers: what a route needs, and what a pending elevation waits for.
//!
//! Promises: a [`Need`] prints and parses as `group:count`, the form of `@route` and `@needs`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::identity::Group;

/// For each group, how many of its people approved; a group that is absent has none.
pub type Approvals = BTreeMap<Group, u32>;

/// So many distinct approvers of one group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// The group in whose name they approve.
    pub group: Group,
    /// How many, at least 1.
    pub count: u32,
}

/// One way to a permit: the approvals of a route, and those that lift what forbids it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// What the permit's `@route` asks; empty where the permit asks none.
    pub route: Vec<Need>,
    /// What the `@needs` of forbids ask; empty where none forbids.
    pub needs: Vec<Need>,
}

/// Everything that would permit; any one way suffices. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitsFor {
    ways: Vec<Way>,
}

/// The text is no need.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `group:count`, such as `sre:2`, with a count of 1 to {NEED_COUNT_MAX}")]
pub struct NeedError(String);

impl Way {
    /// Route and needs joined: for each group the larger count.
    #[must_use]
    pub fn approvals(&self) -> Approvals {
        let mut approvals = Approvals::new();
        raise(&mut approvals, &self.route);
        raise(&mut approvals, &self.needs);
        approvals
    }
}

impl WaitsFor {
    /// The ways in a fixed order, each once; none for no ways.
    pub(crate) fn new(mut ways: Vec<Way>) -> Option<Self> {
        ways.sort();
        ways.dedup();
        (!ways.is_empty()).then_some(Self { ways })
    }

    /// Each way.
    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        self.ways.iter()
    }
}

/// Supposes at least the needed approvals.
pub(crate) fn raise(approvals: &mut Approvals, needs: &[Need]) {
    for need in needs {
        let count = approvals.entry(need.group.clone()).or_default();
        *count = need.count.max(*count);
    }
}

/// Reads `sre:2,security:1`: every need of an annotation, each group once.
pub(crate) fn needs(text: &str) -> Result<Vec<Need>, NeedError> {
    let mut needs: Vec<Need> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
    needs.sort();
    if needs.windows(2).any(|pair| match pair {
        [first, second] => first.group == second.group,
        _ => false,
    }) {
        return Err(NeedError(text.chars().take(TEXT_SHOWN_MAX).collect()));
    }
    Ok(needs)
}

impl FromStr for Need {
    type Err = NeedError;

    fn from_str(text: &str) -> Result<Self, NeedError> {
        let wrong = || NeedError(text.chars().take(TEXT_SHOWN_MAX).collect());
        let (group, count) = text.split_once(':').ok_or_else(wrong)?;
        let group = group.parse().map_err(|_| wrong())?;
        let plain = !count.starts_with('+') && !count.starts_with('0');
        match count.parse() {
            Ok(count) if plain && count <= NEED_COUNT_MAX => Ok(Self { group, count }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.group, self.count)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, need) in self.route.iter().chain(&self.needs).enumerate() {
            write!(f, "{}{need}", if index == 0 { "" } else { " and " })?;
        }
        Ok(())
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, way) in self.ways.iter().enumerate() {
            write!(f, "{}{way}", if index == 0 { "" } else { ", or " })?;
        }
        Ok(())
    }
}

/// The most approvers one need may ask for.
pub const NEED_COUNT_MAX: u32 = 16;
/// How much of a wrong text an error repeats, in characters.
const TEXT_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_print_and_parse_back() {
        let read = needs("sre:2,payments-lead:1").unwrap();
        let printed: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["payments-lead:1", "sre:2"]);
        for text in [
            "", "sre", "sre:0", "sre:02", "sre:+1", "SRE:1", "sre:17", "a:1,a:2", "a:1,",
        ] {
            assert!(needs(text).is_err(), "{text}");
        }
    }
}
