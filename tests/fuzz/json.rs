//! A body that is read is written and read back to the same request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::api::extract::{MediaType, Raw};
use protem::wire::elevation::ElevationRequest;
use protem::wire::entry::EntryRequest;
use protem::wire::svid::SvidRequest;
use protem::wire::uses::UsesRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    back::<ElevationRequest>(bytes);
    back::<EntryRequest>(bytes);
    back::<SvidRequest>(bytes);
    back::<UsesRequest>(bytes);
});

fn back<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let body = |bytes: Vec<u8>| Raw::<65_536> {
        media_type: MediaType::Json,
        bytes: bytes.into(),
    };
    if let Ok(request) = body(bytes.to_vec()).json::<T>() {
        let written = serde_json::to_vec(&request).expect("texts and numbers");
        assert_eq!(body(written).json::<T>().ok(), Some(request));
    }
}
