//! What rules of Kubernetes are written with: the place of a workload, and labels that select it.
//!
//! Promises: a place is read from a SPIFFE ID of exactly `/ns/<namespace>/sa/<account>`.
//! Refuses: to guess where a SPIFFE ID of another form lives.

use std::fmt;
use std::str::FromStr;

use crate::identity::Subject;
use crate::mesh::MeshError;

/// Where a workload lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) account: String,
}

/// One label that selects pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    key: String,
    value: String,
}

impl Place {
    /// Reads the place of a subject.
    pub(crate) fn of(subject: &Subject, mesh: &'static str) -> Result<Self, MeshError> {
        let segments: Vec<_> = subject.id().segments_from_last().collect();
        match segments.as_slice() {
            [account, "sa", namespace, "ns"] => Ok(Self {
                namespace: (*namespace).to_owned(),
                account: (*account).to_owned(),
            }),
            _ => Err(MeshError::Place {
                id: subject.to_string(),
                form: "spiffe://<trust domain>/ns/<namespace>/sa/<account>",
                mesh,
                remedy: "name the workload as the mesh does",
            }),
        }
    }

    /// The label that most charts write.
    pub(crate) fn usual_label(&self) -> Label {
        Label {
            key: "app".to_owned(),
            value: self.account.clone(),
        }
    }
}

impl FromStr for Label {
    type Err = MeshError;

    fn from_str(text: &str) -> Result<Self, MeshError> {
        let wrong = || MeshError::Label(text.escape_default().take(64).collect());
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let legal = |text: &str, more: &str| {
            let inside = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            text.chars().all(inside) && ends(text.chars().next()) && ends(text.chars().last())
        };
        if !legal(key, "-_./") || !legal(value, "-_.") || text.len() > LABEL_BYTES_MAX {
            return Err(wrong());
        }
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl fmt::Display for Label {
    /// As one entry of a YAML mapping.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": \"{}\"", self.key, self.value)
    }
}

/// A prefix of 253, a slash, a name of 63, and a value of 63.
const LABEL_BYTES_MAX: usize = 381;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_the_one_form() {
        let place = |text: &str| Place::of(&text.parse().unwrap(), "Istio");
        let web = place("spiffe://td/ns/shop/sa/web").unwrap();
        assert_eq!((&*web.namespace, &*web.account), ("shop", "web"));
        assert_eq!(web.usual_label().to_string(), "\"app\": \"web\"");
        for text in [
            "spiffe://td/web",
            "spiffe://td/a/ns/shop/sa/web",
            "spiffe://td/ns/a/sb/b",
        ] {
            let told = place(text).unwrap_err().to_string();
            assert!(told.contains("/ns/<namespace>/sa/<account>"), "{told}");
        }
    }

    #[test]
    fn labels_stay_within_their_quotes() {
        assert!("app.kubernetes.io/name=web".parse::<Label>().is_ok());
        for text in [
            "", "app", "app=", "=web", "app=a b", "app=\"", "app=a\n", "app=-a",
        ] {
            let told = text.parse::<Label>().unwrap_err().to_string();
            assert!(told.contains("KEY=VALUE"), "{told}");
        }
    }
}
