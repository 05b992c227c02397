//! A scope prints back to itself, and no two names share their SANs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::scope::{Scope, SvidName};

fuzz_target!(|input: (&str, Option<&str>)| {
    let (uri, dns) = input;
    if let Ok(scope) = uri.parse::<Scope>() {
        assert_eq!(scope.as_str(), uri);
    }
    let Ok(uri) = uri.parse() else { return };
    if let Ok(name) = SvidName::from_sans(&uri, dns) {
        let sans = name.sans().expect("a name that was read can be written");
        assert_eq!((sans.uri, sans.dns.as_deref()), (uri, dns));
    }
});
