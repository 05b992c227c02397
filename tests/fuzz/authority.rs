//! Of a HEADERS frame only `%` and `/` change, and only to `-`; what was made readable once stays
//! as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::agent::authority::mend;

fuzz_target!(|input: (u8, &[u8])| {
    let (flags, before) = input;
    let mut once = before.to_vec();
    let read = mend(&mut once, flags);
    assert_eq!(once.len(), before.len());
    for (before, after) in before.iter().zip(&once) {
        assert!(before == after || (b"%/".contains(before) && *after == b'-'));
    }
    let mut twice = once.clone();
    assert_eq!(mend(&mut twice, flags), read);
    assert_eq!(twice, once);
});
