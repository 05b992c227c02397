//! The configuration of a filter, as words with spaces between.
//!
//! Promises: a word that is not understood is named in the refusal, shortened and harmless to
//! print.
//! Refuses: unknown filters, settings and values, a setting twice, and more than [`DENIED_MAX`]
//! digests.

use std::collections::BTreeSet;

use crate::peer::Digest;

/// What a filter is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settings {
    /// `deny_list`: these certificates are denied.
    DenyList(BTreeSet<Digest>),
    /// `end`: close connections.
    End(Unreadable),
}

/// What becomes of a connection whose peer's certificate is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is closed.
    #[default]
    Close,
    /// It is let through, for a listener that serves holders of certificates and others.
    Pass,
}

impl Settings {
    /// Reads `filter_config` for `filter_name`.
    ///
    /// # Errors
    ///
    /// The words for whoever wrote the configuration.
    pub(crate) fn parse(filter: &[u8], config: &[u8]) -> Result<Self, String> {
        let config = str::from_utf8(config).map_err(|_| "filter_config is not text".to_owned())?;
        let words = config.split_ascii_whitespace();
        match filter {
            b"deny_list" => deny_list(words).map(Self::DenyList),
            b"end" => end(words).map(Self::End),
            _ => Err(format!(
                "no filter `{}`; there are: deny_list, end",
                shown(&String::from_utf8_lossy(filter))
            )),
        }
    }
}

fn deny_list<'a>(words: impl Iterator<Item = &'a str>) -> Result<BTreeSet<Digest>, String> {
    let mut denied = BTreeSet::new();
    for word in words {
        let digest = Digest::parse(word).ok_or_else(|| {
            format!(
                "`{}` is no SHA-256 digest of 64 hexadecimal digits",
                shown(word)
            )
        })?;
        denied.insert(digest);
        if DENIED_MAX < denied.len() {
            return Err(format!("more than {DENIED_MAX} digests"));
        }
    }
    Ok(denied)
}

fn end<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Unreadable, String> {
    let unreadable = match words.next() {
        None => Unreadable::default(),
        Some("unreadable=close") => Unreadable::Close,
        Some("unreadable=pass") => Unreadable::Pass,
        Some(word) => return Err(no_setting(word)),
    };
    match words.next() {
        None => Ok(unreadable),
        Some(word) => Err(no_setting(word)),
    }
}

fn no_setting(word: &str) -> String {
    format!(
        "`{}` is no setting, or one too many; there is one: unreadable=close or unreadable=pass",
        shown(word)
    )
}

/// The beginning of a word, without what a terminal would obey.
fn shown(word: &str) -> String {
    word.chars()
        .take(SHOWN_MAX)
        .map(|one| if one.is_control() { '?' } else { one })
        .collect()
}

/// The most digests in a list.
pub(crate) const DENIED_MAX: usize = 65_536;
const SHOWN_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(filter: &str, config: &str) -> Result<Settings, String> {
        Settings::parse(filter.as_bytes(), config.as_bytes())
    }

    #[test]
    fn what_is_written_holds() {
        for (config, wanted) in [
            ("", Unreadable::Close),
            (" unreadable=close\n", Unreadable::Close),
            ("unreadable=pass", Unreadable::Pass),
        ] {
            assert_eq!(parse("end", config), Ok(Settings::End(wanted)));
        }
        let (one, other) = ("0a".repeat(32), "FF".repeat(32));
        let list = [&one, &other, &one].map(String::as_str).join("\n");
        let wanted = [one, other].into_iter();
        let wanted = wanted.map(|text| Digest::parse(&text).unwrap());
        let wanted = Settings::DenyList(wanted.collect());
        assert_eq!(parse("deny_list", &list), Ok(wanted));
        let nobody = Settings::DenyList(BTreeSet::new());
        assert_eq!(parse("deny_list", ""), Ok(nobody));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_words() {
        for (filter, config, words) in [
            ("begin", "", "no filter `begin`; there are: deny_list, end"),
            ("end", "unreadable=open", "`unreadable=open` is no setting"),
            ("end", "unreadable=pass unreadable=close", "one too many"),
            ("end", "{\"unreadable\":\"pass\"}", "is no setting"),
            ("deny_list", "0a0b", "`0a0b` is no SHA-256 digest"),
            ("deny_list", "\u{1b}[2J", "`?[2J` is no"),
        ] {
            let refusal = parse(filter, config).unwrap_err();
            assert!(refusal.contains(words), "{refusal}");
        }
        assert!(Settings::parse(b"end", b"\xff").is_err());
        let long = parse("deny_list", &"z".repeat(10_000)).unwrap_err();
        assert!(long.len() < 200, "{long}");
        let many = (0..=DENIED_MAX).map(|count| format!("{count:064x}"));
        let many = many.collect::<Vec<_>>().join(" ");
        assert!(parse("deny_list", &many).unwrap_err().contains("more than"));
    }
}
