//! A head that passes is read by HTTP's own reader to the same end, with one length at most, and
//! looking at it in two parts changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::api::listener::head::Head;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let head = Head::read(bytes, 0);
    let cut = usize::from(cut).min(bytes.len());
    if let Ok(None) = Head::read(&bytes[..cut], 0) {
        assert_eq!(Head::read(bytes, cut), head);
    }
    let Ok(Some(head)) = head else { return };
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(bytes).expect("what passes is HTTP");
    assert_eq!(status, httparse::Status::Complete(head.head_bytes));
    let named = |name: &'static str| {
        let lines = request.headers.iter();
        lines.filter(move |line| line.name.eq_ignore_ascii_case(name))
    };
    let lengths: Vec<_> = named("content-length").collect();
    assert_eq!(named("transfer-encoding").count(), 0);
    assert!(lengths.len() <= 1);
    let length = lengths.first().map_or("0", |line| {
        std::str::from_utf8(line.value).expect("digits").trim()
    });
    assert_eq!(length.parse(), Ok(head.body_bytes));
});
