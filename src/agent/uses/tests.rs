//! Entries as Envoy writes them, and what counts as a use.

use prost_types::{Duration, Timestamp as Time};

use crate::proto::access_log::stream_access_logs_message::{
    HttpAccessLogEntries, TcpAccessLogEntries,
};
use crate::proto::access_log_data::tls_properties::CertificateProperties;
use crate::proto::access_log_data::tls_properties::certificate_properties::SubjectAltName;
use crate::proto::access_log_data::{HttpResponseProperties, TcpAccessLogEntry, TlsProperties};

use super::*;

const ELEVATED: &str = "spiffe://td.test/ns/shop/sa/web/scope/db.read";
const NOW_S: i64 = 1_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_s(seconds).unwrap()
}

fn common(uris: &[&str], attempts: u32) -> AccessLogCommon {
    let names = uris.iter().map(|uri| SubjectAltName {
        san: Some(San::Uri((*uri).to_owned())),
    });
    AccessLogCommon {
        tls_properties: Some(TlsProperties {
            peer_certificate_properties: Some(CertificateProperties {
                subject_alt_name: names.collect(),
                ..CertificateProperties::default()
            }),
            ..TlsProperties::default()
        }),
        start_time: Some(Time {
            seconds: NOW_S - 10,
            nanos: 0,
        }),
        duration: Some(Duration {
            seconds: 3,
            nanos: 0,
        }),
        upstream_request_attempt_count: attempts,
        connection_termination_details: String::new(),
        access_log_type: AccessLogType::DownstreamEnd.into(),
    }
}

/// One request that a peer of this name was answered for.
pub(super) fn entry(uri: &str, code: u32) -> HttpAccessLogEntry {
    http_entry(common(&[uri], 1), code)
}

fn http_entry(common: AccessLogCommon, code: u32) -> HttpAccessLogEntry {
    HttpAccessLogEntry {
        common_properties: Some(common),
        response: Some(HttpResponseProperties {
            response_code: Some(code),
        }),
    }
}

fn http(common: AccessLogCommon, code: u32) -> StreamAccessLogsMessage {
    let entry = http_entry(common, code);
    StreamAccessLogsMessage {
        identifier: None,
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries {
            log_entry: vec![entry],
        })),
    }
}

fn tcp(common: AccessLogCommon) -> StreamAccessLogsMessage {
    let entry = TcpAccessLogEntry {
        common_properties: Some(common),
    };
    StreamAccessLogsMessage {
        identifier: None,
        log_entries: Some(LogEntries::TcpLogs(TcpAccessLogEntries {
            log_entry: vec![entry],
        })),
    }
}

fn uses() -> Uses {
    Uses::of("td.test".parse().unwrap())
}

fn server() -> Subject {
    "spiffe://td.test/ns/data/sa/db".parse().unwrap()
}

/// What the one server of these tests told.
fn taken(uses: &Uses) -> BySubject {
    uses.take().remove(&server()).unwrap_or_default()
}

fn counted(message: &StreamAccessLogsMessage) -> u64 {
    let uses = uses();
    uses.read(&server(), message, at(NOW_S));
    taken(&uses).values().map(|one| one.count).sum()
}

#[test]
fn what_was_let_in_is_a_use_and_what_was_turned_away_is_none() {
    for (attempts, code, count) in [
        (1, 200, 1),
        (1, 403, 1), // the service's own word
        (1, 503, 1), // let in, and the service was away
        (0, 200, 1), // answered by the proxy itself
        (0, 302, 1),
        (0, 403, 0), // RBAC
        (0, 401, 0),
        (0, 400, 0),
        (0, 503, 0),
        (0, 0, 0),
    ] {
        let message = http(common(&[ELEVATED], attempts), code);
        assert_eq!(counted(&message), count, "{attempts} {code}");
    }
    assert_eq!(counted(&tcp(common(&[ELEVATED], 1))), 1);
    assert_eq!(counted(&tcp(common(&[ELEVATED], 0))), 0);
    let mut denied = common(&[ELEVATED], 1);
    denied.connection_termination_details =
        "rbac_access_denied_matched_policy[protem.denied_certificate]".to_owned();
    assert_eq!(counted(&tcp(denied)), 0);
}

#[test]
fn only_elevated_svids_of_this_trust_domain_count() {
    for (uris, count) in [
        (&[ELEVATED][..], 1),
        (&["spiffe://td.test/ns/shop/sa/web_db.read"], 1),
        (&["spiffe://td.test/ns/shop/sa/web"], 0),
        (&["spiffe://other.test/ns/shop/sa/web/scope/db.read"], 0),
        (&[ELEVATED, ELEVATED], 0),
        (&[], 0),
        (&["https://td.test/scope/db.read"], 0),
        (&["spiffe://td.test/ns/shop/sa/web/scope/DB.read"], 0),
    ] {
        let message = http(common(uris, 1), 200);
        assert_eq!(counted(&message), count, "{uris:?}");
    }
    assert_eq!(counted(&StreamAccessLogsMessage::default()), 0);
}

#[test]
fn uses_of_one_scope_become_one_and_are_taken_once() {
    let uses = uses();
    let mut later = common(&[ELEVATED], 1);
    later.start_time = Some(Time {
        seconds: NOW_S - 5,
        nanos: 0,
    });
    uses.read(&server(), &http(later, 200), at(NOW_S));
    uses.read(&server(), &http(common(&[ELEVATED], 1), 200), at(NOW_S));
    let taken = taken(&uses);
    let of = (
        "spiffe://td.test/ns/shop/sa/web".parse().unwrap(),
        "db.read".parse().unwrap(),
    );
    let wanted = Use {
        first: at(NOW_S - 10),
        last: at(NOW_S - 2),
        count: 2,
    };
    assert_eq!(taken, BySubject::from([(of, wanted)]));
    assert!(uses.take().is_empty());
    uses.give_back(&server(), taken, at(0));
    uses.read(&server(), &http(common(&[ELEVATED], 1), 200), at(NOW_S));
    assert_eq!(self::taken(&uses).into_values().next().unwrap().count, 3);
}

#[test]
fn a_stream_that_goes_on_is_used_until_now_and_counts_when_it_ends() {
    let uses = uses();
    let mut running = common(&[ELEVATED], 1);
    running.access_log_type = AccessLogType::DownstreamPeriodic.into();
    uses.read(&server(), &http(running.clone(), 200), at(NOW_S));
    let one = taken(&uses).into_values().next().unwrap();
    assert_eq!((one.last, one.count), (at(NOW_S - 7), 0));
}

#[test]
fn no_time_that_a_reporter_tells_lies_in_the_future() {
    for (seconds, nanos, lasted) in [
        (NOW_S + 999, 0, 1),
        (i64::MAX, i32::MAX, i64::MAX),
        (i64::MIN, i32::MIN, i64::MIN),
        (-1, 0, 0),
        (NOW_S - 1, 0, i64::MAX),
    ] {
        let mut hostile = common(&[ELEVATED], 1);
        hostile.start_time = Some(Time { seconds, nanos });
        hostile.duration = Some(Duration {
            seconds: lasted,
            nanos,
        });
        let uses = uses();
        uses.read(&server(), &http(hostile, 200), at(NOW_S));
        let one = taken(&uses).into_values().next().unwrap();
        assert!(one.first <= one.last && one.last <= at(NOW_S), "{one:?}");
    }
}

#[test]
fn so_many_of_each_server_wait_and_what_is_lost_is_his_loss_alone() {
    let uses = uses();
    let other: Subject = "spiffe://td.test/ns/data/sa/other".parse().unwrap();
    let listen = |server: &Subject| {
        uses.listeners().listen(
            server.clone(),
            Arc::new(crate::time::ManualClock::new(at(1))),
        )
    };
    let _listening = [listen(&server()), listen(&other)];
    for count in 0..WAITING_OF_SERVER_MAX + 50 {
        let name = format!("spiffe://td.test/sa/{count}/scope/db.read");
        uses.read(&server(), &http(common(&[&name], 1), 200), at(NOW_S));
    }
    uses.read(&other, &http(common(&[ELEVATED], 1), 200), at(NOW_S));
    let since = [(server(), at(NOW_S)), (other.clone(), at(1))];
    assert_eq!(uses.listeners().since(), since.into());
    // Those that wait go on to count.
    let first = "spiffe://td.test/sa/0/scope/db.read";
    uses.read(&server(), &http(common(&[first], 1), 200), at(NOW_S));
    let taken = taken(&uses);
    assert_eq!(taken.len(), WAITING_OF_SERVER_MAX);
    assert_eq!(taken.values().map(|one| one.count).max(), Some(2));
}
