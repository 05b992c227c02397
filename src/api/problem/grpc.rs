//! What a problem is over gRPC: a code, words, and the document itself.
//!
//! Promises: closed, without wildcard: a new kind of problem must be given its code here. Who reads
//! the document knows as much as over REST.
//! Refuses: a document so large that it would crowd out the status itself.

use http::HeaderMap;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::api::problem::Problem;
use crate::wire::problem::{PROBLEM_METADATA, ProblemKind, ProblemView};

impl Problem {
    /// The status for the request of this id.
    pub(crate) fn grpc(&self, request: Option<&str>) -> Status {
        self.grpc_of(&self.view(request))
    }

    /// The status that tells what the caller is told.
    pub(crate) fn grpc_of(&self, view: &ProblemView) -> Status {
        let mut metadata = MetadataMap::from_headers(HeaderMap::new());
        let document = serde_json::to_vec(view).unwrap_or_default();
        if document.len() <= DOCUMENT_BYTES_MAX {
            metadata.insert_bin(PROBLEM_METADATA, MetadataValue::from_bytes(&document));
        }
        let code = match self.code {
            "path_unknown" => Code::Unimplemented,
            _ => code(self.kind),
        };
        Status::with_metadata(code, view.detail.clone(), metadata)
    }
}

/// The code of each kind; chosen here and nowhere else.
const fn code(kind: ProblemKind) -> Code {
    match kind {
        ProblemKind::ClockInDoubt | ProblemKind::MintingStopped | ProblemKind::Unavailable => {
            Code::Unavailable
        }
        ProblemKind::Conflict => Code::FailedPrecondition,
        ProblemKind::Denied | ProblemKind::Forbidden => Code::PermissionDenied,
        ProblemKind::HeadTooLarge | ProblemKind::RateLimited | ProblemKind::TooLarge => {
            Code::ResourceExhausted
        }
        ProblemKind::Internal => Code::Internal,
        ProblemKind::LengthRequired | ProblemKind::Malformed | ProblemKind::Unprocessable => {
            Code::InvalidArgument
        }
        ProblemKind::MethodNotAllowed
        | ProblemKind::NotAcceptable
        | ProblemKind::UnsupportedMediaType => Code::Unimplemented,
        ProblemKind::NotFound => Code::NotFound,
        ProblemKind::Timeout => Code::DeadlineExceeded,
        ProblemKind::Unauthenticated => Code::Unauthenticated,
    }
}

/// The largest document that goes along, in bytes: clients read some 16 KiB of trailers.
const DOCUMENT_BYTES_MAX: usize = 4 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_failure_that_carries_its_document() {
        for kind in ProblemKind::ALL {
            let status = Problem::new(kind, "a_code", "words").grpc(Some("00ff"));
            assert_ne!(status.code(), Code::Ok);
            let document = status.metadata().get_bin(PROBLEM_METADATA).unwrap();
            let view: ProblemView = serde_json::from_slice(&document.to_bytes().unwrap()).unwrap();
            assert_eq!(view.kind.parse(), Ok(kind));
            assert_eq!(view.instance.as_deref(), Some("urn:protem:request:00ff"));
        }
        let large = Problem::new(ProblemKind::Denied, "a_code", "w".repeat(5_000));
        let status = large.grpc(None);
        assert!(status.metadata().get_bin(PROBLEM_METADATA).is_none());
    }
}
