//! An event has one text: what is read is what is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::audit::{SealedEvent, Value};

fuzz_target!(|text: &str| {
    if let Ok(event) = SealedEvent::parse(text) {
        assert_eq!(event.bytes(), text);
    }
    if let Ok(value) = Value::parse(text) {
        let mut back = String::new();
        value.write(&mut back);
        assert_eq!(back, text);
    }
});
