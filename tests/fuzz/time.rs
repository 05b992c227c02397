//! Times and spans print back to what was read, in one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::time::{Seconds, Timestamp};

fuzz_target!(|text: &str| {
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.rfc3339().parse(), Ok(time));
    }
    if let Ok(span) = text.parse::<Seconds>() {
        assert_eq!(span.to_string().parse(), Ok(span));
    }
});
