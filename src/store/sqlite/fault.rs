//! From faults of the database to words of the store.
//!
//! Promises: damage is told apart from a store that cannot answer now, because restoring a
//! backup and freeing disk space are different next steps.
//! Refuses: to call anything a success that the database did not.

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Turns any fault into "the store cannot `act`".
pub(super) fn cannot<E>(act: &'static str) -> impl FnOnce(E) -> StoreError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |fault| StoreError::Unavailable {
        act,
        source: fault.into(),
    }
}

/// The file as a whole is not what was written.
pub(super) fn damaged_file(row: impl Into<String>) -> StoreError {
    StoreError::Damaged {
        table: "whole file",
        column: "any",
        row: row.into(),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(fault: rusqlite::Error) -> Self {
        match fault.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                damaged_file(fault.to_string())
            }
            Some(ErrorCode::OperationInterrupted) => cannot(ANSWER_SO_MUCH)(fault),
            _ => cannot(ANSWER)(fault),
        }
    }
}

/// What a connection does for a verb.
const ANSWER: &str = "answer";
const ANSWER_SO_MUCH: &str = "answer so wide a question; narrow the filter";
