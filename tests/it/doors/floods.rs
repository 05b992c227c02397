//! HTTP/2 peers that keep a connection busy without asking for anything, under short limits.
//!
//! The floods that need no short limit are in `abuse/floods.rs`, against a whole server.

use std::time::Duration;

use protem::api::listener::limits::Limits;

use super::House;
use super::frames::{INITIAL_WINDOW, PING, frame, get};

#[tokio::test]
async fn pings_do_not_keep_an_idle_connection() {
    let house = House::with(Limits {
        idle: Duration::from_millis(100),
        drain: Duration::from_millis(100),
        ..Limits::standard()
    })
    .await;
    let mut peer = house.stranger().frames(&[]).await.unwrap();
    while peer.send(&frame(PING, 0, 0, b"12345678")).await {
        tokio::task::yield_now().await;
    }
    // The end is announced where the flood leaves room for it.
    let (code, _) = peer.until_end().await;
    assert!(matches!(code, None | Some(0)), "{code:?}");
}

#[tokio::test]
async fn a_window_that_never_opens_ends_its_stream_and_no_other() {
    let house = House::with(Limits {
        stream_stall: Duration::from_millis(100),
        ..Limits::standard()
    })
    .await;
    let mut peer = house
        .stranger()
        .frames(&[(INITIAL_WINDOW, 0)])
        .await
        .unwrap();
    peer.send(&get(1, "/who")).await;
    assert_eq!(peer.status(1).await, Some(200));
    // The body waits for a window until the stream is given up.
    assert_eq!(peer.status(1).await, None);
    peer.send(&get(3, "/nothing")).await;
    assert_eq!(peer.status(3).await, Some(404));
}

#[tokio::test]
async fn a_window_of_one_byte_ends_a_long_answer_and_lets_its_memory_go() {
    let house = House::with(Limits {
        stream_stall: Duration::from_millis(100),
        // Ends the test where the stream is never given up.
        idle: Duration::from_secs(3),
        drain: Duration::from_millis(100),
        ..Limits::standard()
    })
    .await;
    let mut peer = house
        .stranger()
        .frames(&[(INITIAL_WINDOW, 1)])
        .await
        .unwrap();
    peer.send(&get(1, "/long")).await;
    assert_eq!(peer.status(1).await, Some(200));
    assert_eq!(peer.status(1).await, None);
    peer.send(&get(3, "/nothing")).await;
    assert_eq!(
        peer.status(3).await,
        Some(404),
        "the stream alone has ended"
    );
    house.acts.done(1).await;
}
