//! Hostile texts in place of names, with the code that refuses each.

use crate::hostile_names::Case;

pub(crate) fn spiffe_ids() -> Vec<Case> {
    let td = "spiffe://dev.protem.test";
    let at = |path: &str| format!("{td}{path}");
    vec![
        ("S1", "an encoded slash", at("/a%2Fb"), "percent_encoding"),
        ("S1", "an encoded NUL", at("/a%00"), "percent_encoding"),
        ("S1", "an encoded letter", at("/%61"), "percent_encoding"),
        (
            "S1",
            "an encoded trust domain",
            "spiffe://%61.example/a".into(),
            "percent_encoding",
        ),
        ("S2", "one dot", at("/a/./b"), "relative_segment"),
        ("S2", "two dots", at("/a/../b"), "relative_segment"),
        ("S2", "three dots", at("/a/.../b"), "relative_segment"),
        ("S2", "two dots at the end", at("/a/.."), "relative_segment"),
        ("S2", "an empty segment", at("/a//b"), "empty_segment"),
        ("S2", "an empty first segment", at("//a"), "empty_segment"),
        ("S2", "a final slash", at("/a/"), "trailing_slash"),
        ("S2", "a lone slash", at("/"), "trailing_slash"),
        ("S2", "a backslash", at("/a\\b"), "path_character"),
        (
            "S3",
            "an upper-case scheme",
            "SPIFFE://dev.protem.test/a".into(),
            "scheme",
        ),
        (
            "S3",
            "a mixed scheme",
            "Spiffe://dev.protem.test/a".into(),
            "scheme",
        ),
        (
            "S3",
            "another scheme",
            "https://dev.protem.test/a".into(),
            "scheme",
        ),
        (
            "S3",
            "an upper-case name",
            "spiffe://Dev.protem.test/a".into(),
            "trust_domain_character",
        ),
        (
            "S4",
            "2,049 bytes",
            at(&format!("/{}", "a".repeat(2_024))),
            "too_long",
        ),
        (
            "S4",
            "a megabyte",
            at(&format!("/{}", "a".repeat(1 << 20))),
            "too_long",
        ),
        (
            "S4",
            "a name of 256",
            format!("spiffe://{}/a", "a".repeat(256)),
            "trust_domain_too_long",
        ),
        (
            "S5",
            "a port",
            "spiffe://dev.protem.test:443/a".into(),
            "port",
        ),
        (
            "S5",
            "a user",
            "spiffe://root@dev.protem.test/a".into(),
            "user_information",
        ),
        (
            "S5",
            "a password",
            "spiffe://a:b@dev.protem.test/a".into(),
            "port",
        ),
        ("S5", "a query", at("/a?b=c"), "query"),
        (
            "S5",
            "a query before the path",
            "spiffe://dev.protem.test?b/a".into(),
            "query",
        ),
        ("S5", "a fragment", at("/a#b"), "fragment"),
        (
            "S7",
            "an IPv4 address",
            "spiffe://127.0.0.1/a".into(),
            "ip_address",
        ),
        (
            "S7",
            "an IPv6 address",
            "spiffe://[::1]/a".into(),
            "trust_domain_character",
        ),
        (
            "S7",
            "an underscore",
            "spiffe://dev_1.test/a".into(),
            "trust_domain_character",
        ),
        ("S11", "a Cyrillic letter", at("/\u{430}"), "path_character"),
        (
            "S11",
            "one in the name",
            "spiffe://d\u{435}v.test/a".into(),
            "trust_domain_character",
        ),
        (
            "S11",
            "a zero-width joiner",
            at("/a\u{200d}b"),
            "path_character",
        ),
        ("S11", "right to left", at("/a\u{202e}b"), "path_character"),
        ("S17", "a final newline", at("/a\n"), "path_character"),
        ("S17", "a final space", at("/a "), "path_character"),
        ("S17", "a leading space", format!(" {td}/a"), "scheme"),
        ("S17", "a tab", at("/a\tb"), "path_character"),
        ("S17", "a NUL", at("/a\0b"), "path_character"),
        (
            "S17",
            "a newline after the name",
            "spiffe://td\n/a".into(),
            "trust_domain_character",
        ),
        (
            "S18",
            "two IDs in one",
            at("/a,spiffe://dev.protem.test/b"),
            "path_character",
        ),
        ("S8", "no path", td.into(), "no_path"),
        ("S2", "nothing", String::new(), "empty"),
    ]
}

pub(crate) fn scopes() -> Vec<Case> {
    vec![
        ("S9", "a slash", "db/read".into(), "character"),
        ("S9", "a star", "db.*".into(), "character"),
        ("S9", "a comma", "db.read,db.write".into(), "character"),
        ("S9", "a space", "db read".into(), "character"),
        ("S9", "a control", "db\u{7}".into(), "character"),
        ("S9", "a colon", "db:read".into(), "character"),
        ("S9", "64 characters", "a".repeat(64), "too_long"),
        ("S9", "200 characters", "a".repeat(200), "too_long"),
        ("S9", "nothing", String::new(), "empty"),
        ("S9", "a dot", ".".into(), "label"),
        ("S9", "two dots", "..".into(), "label"),
        ("S9", "an empty part", "db..read".into(), "label"),
        ("S9", "a hyphen in front", "-db".into(), "label"),
        (
            "S9",
            "what Istio appends",
            "db-cacert".into(),
            "reserved_end",
        ),
        ("S10", "a pattern", "db.read.*".into(), "character"),
        ("S10", "an expression", "^db$".into(), "character"),
        ("S11", "upper case", "DB.read".into(), "character"),
        (
            "S11",
            "one upper-case letter",
            "db.Read".into(),
            "character",
        ),
        (
            "S11",
            "a Cyrillic letter",
            "d\u{432}.read".into(),
            "character",
        ),
        (
            "S11",
            "a full-width letter",
            "\u{ff44}b".into(),
            "character",
        ),
        ("S11", "a dotless i", "wr\u{131}te".into(), "character"),
        ("S12", "two, folded", "db.read_db.write".into(), "character"),
        (
            "S12",
            "two, by path",
            "db.read/scope/db.write".into(),
            "character",
        ),
        (
            "S12",
            "two, by plus",
            "db.read+db.write".into(),
            "character",
        ),
        ("S13", "a wildcard", "*".into(), "character"),
        ("S17", "a final newline", "db.read\n".into(), "character"),
        ("S17", "a final space", "db.read ".into(), "character"),
        ("S1", "percent encoding", "db%2eread".into(), "character"),
    ]
}

pub(crate) fn trust_domains() -> Vec<Case> {
    vec![
        ("S7", "an IPv4 address", "10.0.0.1".into(), "ip_address"),
        (
            "S7",
            "an IPv6 address",
            "[::1]".into(),
            "trust_domain_character",
        ),
        (
            "S7",
            "an IPv6 address without brackets",
            "::1".into(),
            "port",
        ),
        (
            "S7",
            "an underscore",
            "prod_1.example".into(),
            "trust_domain_character",
        ),
        (
            "S3",
            "upper case",
            "Prod.example".into(),
            "trust_domain_character",
        ),
        (
            "S13",
            "a wildcard",
            "*.example".into(),
            "trust_domain_character",
        ),
        ("S5", "a port", "prod.example:443".into(), "port"),
        (
            "S5",
            "user information",
            "root@prod.example".into(),
            "user_information",
        ),
        (
            "S17",
            "a newline",
            "prod.example\n".into(),
            "trust_domain_character",
        ),
        (
            "S2",
            "an empty label",
            "prod..example".into(),
            "trust_domain_label",
        ),
        (
            "S2",
            "a final dot",
            "prod.example.".into(),
            "trust_domain_label",
        ),
        (
            "S1",
            "percent encoding",
            "prod%2eexample".into(),
            "percent_encoding",
        ),
        ("S2", "nothing", String::new(), "empty_trust_domain"),
    ]
}
