//! A problem document that a client reads is written and read back to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::wire::problem::{ProblemKind, ProblemView};

fuzz_target!(|text: &str| {
    if let Ok(view) = serde_json::from_str::<ProblemView>(text) {
        let written = serde_json::to_string(&view).expect("texts and numbers");
        assert_eq!(
            serde_json::from_str::<ProblemView>(&written).ok(),
            Some(view)
        );
    }
    if let Ok(kind) = text.parse::<ProblemKind>() {
        assert_eq!(kind.to_string(), text);
    }
});
