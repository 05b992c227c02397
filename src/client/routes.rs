//! Whose approvals an elevation waits for, in words for people.
//!
//! Promises: every route and need is named.
//! Refuses: nothing; what it does not understand it repeats.

use crate::wire::verdict::RouteView;

/// Routes in words: any one of them suffices.
pub(crate) fn routes(routes: &[RouteView]) -> String {
    let words = routes.iter().map(|route| {
        let all = route.route.iter().chain(&route.needs);
        let all: Vec<_> = all.map(|one| approvals(one)).collect();
        all.join(" and ")
    });
    words.collect::<Vec<_>>().join(", or ")
}

/// `sre:2` in words.
fn approvals(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((group, "1")) => format!("1 approval of {group}"),
        Some((group, count)) => format!("{count} approvals of {group}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_in_words() {
        let route = |route: &[&str], needs: &[&str]| RouteView {
            route: route.iter().map(ToString::to_string).collect(),
            needs: needs.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            routes(&[route(&["sre:2"], &["security:1"]), route(&["lead:1"], &[])]),
            "2 approvals of sre and 1 approval of security, or 1 approval of lead"
        );
    }
}
