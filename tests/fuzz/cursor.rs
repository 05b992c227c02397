//! A cursor has one spelling, and so has the number of an event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::wire::page::{LedgerCursor, event_number};

fuzz_target!(|text: &str| {
    if let Ok(cursor) = text.parse::<LedgerCursor>() {
        assert_eq!(cursor.to_string(), text);
        assert!(cursor.after < cursor.until);
    }
    if let Some(number) = event_number(text) {
        assert_eq!(number.to_string(), text);
    }
});
