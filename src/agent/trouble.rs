//! Why the agent is not well, in words for who asks it.
//!
//! Promises: the newest failure of each thing that goes on for as long as the agent runs, and
//! nothing once it goes well again.
//! Refuses: to be a log: what came before the newest is there.

use std::error::Error;

use tokio::sync::watch;

/// The newest failures; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Of the agent's own SVID.
    pub(crate) own: String,
    /// Of the stream from the server.
    pub(crate) server: String,
}

/// Where failures are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles(watch::Sender<Trouble>);

impl Troubles {
    /// Tells how the agent's own SVID fares.
    pub(crate) fn own(&self, failure: Option<&dyn Error>) {
        self.tell(|trouble| &mut trouble.own, failure);
    }

    /// Tells how the stream from the server fares.
    pub(crate) fn server(&self, failure: Option<&dyn Error>) {
        self.tell(|trouble| &mut trouble.server, failure);
    }

    /// What there is now.
    pub(crate) fn now(&self) -> Trouble {
        self.0.borrow().clone()
    }

    fn tell(&self, which: fn(&mut Trouble) -> &mut String, failure: Option<&dyn Error>) {
        let words = failure.map(chain).unwrap_or_default();
        self.0.send_modify(|trouble| *which(trouble) = words);
    }
}

/// An error with its causes, at most [`CAUSES_MAX`] of them, in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let mut texts: Vec<String> = causes.take(CAUSES_MAX).map(ToString::to_string).collect();
    // What is transparent says what its cause says.
    texts.dedup();
    let words = texts.join(": ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

const CAUSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::agent::home::HomeError;

    #[test]
    fn the_newest_failure_is_told_with_its_causes_until_it_goes_well() {
        let troubles = Troubles::default();
        let source = io::Error::other("the disk\n  is full");
        let error = HomeError::File {
            path: "/x".into(),
            source,
        };
        troubles.own(Some(&error));
        let told = Trouble {
            own: "cannot use `/x`: the disk is full".to_owned(),
            server: String::new(),
        };
        assert_eq!(troubles.now(), told);
        troubles.server(None);
        assert_eq!(troubles.now(), told);
        troubles.own(None);
        assert_eq!(troubles.now(), Trouble::default());
    }
}
