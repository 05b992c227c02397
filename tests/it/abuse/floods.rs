//! H4: HTTP/2 floods of frames, and what became of the connection that sent them.

use crate::abuse::stage::Stage;
use crate::abuse::{Row, live};
use crate::doors::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS,
    frame, get, get_block, literal, remembered,
};

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let calm = "GOAWAY 11";
    vec![
        live(
            "H4",
            "rapid reset: 10,000 streams opened and reset",
            calm,
            reset(stage).await,
        ),
        live(
            "H4",
            "10,000 streams that break the protocol",
            calm,
            broken(stage).await,
        ),
        live(
            "H4",
            "CONTINUATION without end",
            "GOAWAY",
            continuation(stage).await,
        ),
        live(
            "H4",
            "4,000 empty CONTINUATION frames",
            "GOAWAY",
            empty(stage).await,
        ),
        live(
            "H4",
            "an HPACK bomb: 4 KB named 4,000 times",
            calm,
            bomb(stage).await,
        ),
        live(
            "H4",
            "an HPACK table larger than agreed",
            "GOAWAY",
            table(stage).await,
        ),
        live(
            "H4",
            "10,000 SETTINGS",
            "each answered once, then 200",
            settings(stage).await,
        ),
        live(
            "H4",
            "10,000 PINGs",
            "each answered once, then 200",
            pings(stage).await,
        ),
        live(
            "H4",
            "10,000 empty DATA frames",
            "GOAWAY",
            data(stage).await,
        ),
        live(
            "H4",
            "1,000 streams at once",
            "refused beyond 128",
            streams(stage).await,
        ),
        live("H4", "a frame of 1 MB", "GOAWAY 6", large(stage).await),
        live(
            "H4",
            "a window that overflows",
            "GOAWAY 3",
            window(stage).await,
        ),
    ]
}

async fn open(stage: &Stage) -> Frames {
    stage.stranger.client.frames(&[]).await.unwrap()
}

/// Sends until the peer takes no more, then tells how it said good-bye.
async fn flood(stage: &Stage, frames: impl Iterator<Item = Vec<u8>>) -> String {
    let told = match open(stage).await.flood(frames).await {
        Some(code) => format!("GOAWAY {code}"),
        None => "connection ended".to_owned(),
    };
    assert!(alive(stage).await, "after a flood");
    told
}

/// Whether somebody else is still served.
async fn alive(stage: &Stage) -> bool {
    let mut peer = open(stage).await;
    peer.send(&get(1, "/v1/bundle")).await;
    peer.status(1).await == Some(200)
}

fn odd(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

async fn reset(stage: &Stage) -> String {
    let cancel = 8_u32.to_be_bytes();
    let frames = odd(10_000).map(move |stream| {
        [
            get(stream, "/v1/bundle"),
            frame(RST_STREAM, 0, stream, &cancel),
        ]
        .concat()
    });
    flood(stage, frames).await
}

/// A `Content-Length` that the stream does not keep.
async fn broken(stage: &Stage) -> String {
    let frames = odd(10_000).map(|stream| {
        let block = [
            get_block("/v1/bundle"),
            literal_named(b"content-length", b"5"),
        ]
        .concat();
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
    });
    flood(stage, frames).await
}

fn literal_named(name: &[u8], value: &[u8]) -> Vec<u8> {
    let head = [&[0, name.len() as u8][..], name].concat();
    [&head[..], &literal(value.len() as u8, value)[1..]].concat()
}

async fn continuation(stage: &Stage) -> String {
    let first = frame(HEADERS, 0, 1, &get_block("/v1/bundle"));
    let more = frame(
        CONTINUATION,
        0,
        1,
        &literal_named(b"x", &[b'y'; 100]).repeat(100),
    );
    flood(
        stage,
        std::iter::once(first).chain(std::iter::repeat_n(more, 10_000)),
    )
    .await
}

async fn empty(stage: &Stage) -> String {
    let first = frame(HEADERS, 0, 1, &get_block("/v1/bundle"));
    let more = frame(CONTINUATION, 0, 1, b"");
    flood(
        stage,
        std::iter::once(first).chain(std::iter::repeat_n(more, 4_000)),
    )
    .await
}

/// One header of nearly the whole dynamic table, and 4,000 bytes that each name it again.
async fn bomb(stage: &Stage) -> String {
    let mut peer = open(stage).await;
    let block = [
        get_block("/v1/bundle"),
        remembered(b"x", &[b'y'; 4_000]),
        vec![0x80 | 0x3e; 4_000],
    ];
    peer.send(&frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &block.concat(),
    ))
    .await;
    let told = peer.refusal(1).await;
    assert!(alive(stage).await);
    told
}

async fn table(stage: &Stage) -> String {
    // A size update to 2^28 (RFC 7541 6.3).
    let block = [
        &[0x3f, 0xe1, 0xff, 0xff, 0x7f][..],
        &get_block("/v1/bundle"),
    ]
    .concat();
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
    flood(stage, std::iter::once(head)).await
}

async fn settings(stage: &Stage) -> String {
    answered(stage, &frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]), SETTINGS).await
}

async fn pings(stage: &Stage) -> String {
    answered(stage, &frame(PING, 0, 0, b"12345678"), PING).await
}

/// Frames that must be answered, in parts of a hundred: whether each was, and nothing more.
async fn answered(stage: &Stage, bytes: &[u8], kind: u8) -> String {
    let mut peer = open(stage).await;
    let mut answers = 0;
    for _ in 0..100 {
        if !peer.send(&bytes.repeat(100)).await {
            return format!("ended after {answers}");
        }
        let mut left = 100;
        while 0 < left {
            let Some(frame) = peer.next().await else {
                return format!("ended after {answers}");
            };
            if frame.kind == kind && frame.flags & ACK != 0 {
                (answers, left) = (answers + 1, left - 1);
            }
        }
    }
    peer.send(&get(1, "/v1/bundle")).await;
    match peer.status(1).await {
        Some(200) => "each answered once, then 200".to_owned(),
        other => format!("{answers} answered, then {other:?}"),
    }
}

async fn data(stage: &Stage) -> String {
    let more = frame(DATA, 0, 1, b"");
    let block = get_block("/v1/svids");
    let post = [&[0x83][..], &block[1..]].concat();
    let first = frame(HEADERS, END_HEADERS, 1, &post);
    flood(
        stage,
        std::iter::once(first).chain(std::iter::repeat_n(more, 10_000)),
    )
    .await
}

/// Requests whose bodies never come: how many streams are refused at once.
async fn streams(stage: &Stage) -> String {
    let mut peer = open(stage).await;
    let block = [&[0x83][..], &get_block("/v1/svids")[1..]].concat();
    let heads: Vec<u8> = odd(1_000)
        .flat_map(|stream| frame(HEADERS, END_HEADERS, stream, &block))
        .collect();
    peer.send(&heads).await;
    while let Some(frame) = peer.next().await {
        let refused = frame.kind == RST_STREAM && frame.body == 7_u32.to_be_bytes();
        if refused && 256 < frame.stream {
            return "refused beyond 128".to_owned();
        }
    }
    "connection ended".to_owned()
}

async fn large(stage: &Stage) -> String {
    flood(stage, std::iter::once(frame(DATA, 0, 1, &vec![0; 1 << 20]))).await
}

async fn window(stage: &Stage) -> String {
    let more = frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes());
    flood(stage, std::iter::once(more)).await
}
