//! The tests of a bundle, and the bundle around them: no text makes reading them panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::policy::{Bundle, BundleSource, run_tests};

fuzz_target!(|text: &str| {
    let (tests, policies) = text.split_once('\0').unwrap_or((text, ""));
    let scopes = include_str!("../../policy/scopes.toml");
    let files = [
        ("scopes.toml", scopes),
        ("p.cedar", policies),
        ("tests/t.toml", tests),
    ];
    if let Ok(source) = BundleSource::collect(files)
        && let Ok(bundle) = Bundle::compile(&source)
    {
        drop(run_tests(&bundle, &source));
    }
});
