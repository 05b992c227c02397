//! The same requests by another program, curl over HTTP/2.

use std::path::Path;

use protem::client::{SVID_KEY, SVID_PEM};

use crate::crash::house::House;
use crate::tools::tool;

/// Posts with the SVID of a folder; none when the answer was lost.
pub(crate) async fn curl(
    house: &House,
    folder: &Path,
    path: &str,
    words: &[&str],
) -> Option<(u16, String)> {
    let mut curl = tool("curl");
    curl.args(["--silent", "--max-time", "20", "--tlsv1.3", "--cacert"])
        .arg(house.bundle())
        .arg("--cert")
        .arg(folder.join(SVID_PEM))
        .arg("--key")
        .arg(folder.join(SVID_KEY))
        .args(["--write-out", "\n%{http_code}"])
        .args(words)
        .arg(format!("{}{path}", house.place.url()));
    let ran = tokio::task::spawn_blocking(move || curl.output().unwrap());
    let ran = ran.await.unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    if !ran.status.success() {
        if !ran.status.code().is_some_and(|code| LOST.contains(&code)) {
            house.wrong(format!("curl {path}: {}, {told}", ran.status));
        }
        return None;
    }
    let (body, status) = told.rsplit_once('\n').unwrap();
    let status: u16 = status.parse().unwrap();
    if !matches!(status, 200 | 201 | 409) && !body.contains("problem:minting-stopped") {
        house.wrong(format!("curl {path}: {told}"));
    }
    Some((status, body.to_owned()))
}

/// How it ends when the server goes away: not reached, or cut in each of the phases and layers.
const LOST: [i32; 8] = [7, 16, 18, 35, 52, 55, 56, 92];
