//! Which dear selectors anybody asks for: a name costs a look-up, a digest the reading of a file.
//!
//! Promises: what no entry uses is not looked for.

use crate::identity::Selector;

/// What the entries of this agent use, beyond what is read anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// `unix:user`, `unix:group`, `unix:supplementary_group`.
    pub(crate) names: bool,
    /// `unix:path`.
    pub(crate) path: bool,
    /// `unix:sha256`.
    pub(crate) sha256: bool,
}

impl Needs {
    /// All there is.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self {
        names: true,
        path: true,
        sha256: true,
    };

    /// This and that.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self {
            names: self.names || other.names,
            path: self.path || other.path,
            sha256: self.sha256 || other.sha256,
        }
    }

    /// What these selectors use.
    pub(crate) fn of<'s>(selectors: impl IntoIterator<Item = &'s Selector>) -> Self {
        let mut needs = Self::default();
        for selector in selectors {
            let mut parts = selector.as_str().splitn(3, ':');
            match (parts.next(), parts.next()) {
                (Some("unix"), Some("user" | "group" | "supplementary_group")) => {
                    needs.names = true;
                }
                (Some("unix"), Some("path")) => needs.path = true,
                (Some("unix"), Some("sha256")) => needs.sha256 = true,
                _ => {}
            }
        }
        needs
    }

    /// Whether the file that runs has to be looked at.
    pub(super) const fn executable(self) -> bool {
        self.path || self.sha256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_used_is_needed() {
        let needs = |text: &str| Needs::of(&[text.parse().unwrap()]);
        assert_eq!(needs("unix:uid:0"), Needs::default());
        assert_eq!(needs("container:sha256:1"), Needs::default());
        assert_eq!(needs("unix:sha256ish:1"), Needs::default());
        let path = Needs {
            path: true,
            ..Needs::default()
        };
        assert_eq!(needs("unix:path:/usr/bin/user:x"), path);
        let all = ["unix:user:a", "unix:path:/a", "unix:sha256:00"];
        let all = all.map(|text| text.parse().unwrap());
        assert_eq!(Needs::of(&all), Needs::ALL);
    }
}
