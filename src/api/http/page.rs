//! Pages: limits and cursors.
//!
//! Promises: a cursor names the last row seen, so pages neither skip nor repeat while rows arrive.
//! Refuses: limits outside 1 to [`PAGE_ROWS_MAX`], cursors that are none.

use crate::api::problem::Problem;
use crate::id::EventNumber;
use crate::wire::page::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, event_number};
use crate::wire::problem::ProblemKind;

/// How many rows a page holds at most.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(PAGE_ROWS_DEFAULT),
        Some(rows) if (1..=PAGE_ROWS_MAX).contains(&rows) => Ok(rows),
        Some(_) => Err(Problem::new(
            ProblemKind::Unprocessable,
            "field",
            format!("`limit`: must be 1 to {PAGE_ROWS_MAX}"),
        )),
    }
}

/// The row that a cursor of rows by number names.
pub(crate) fn number(cursor: Option<&str>) -> Result<Option<EventNumber>, Problem> {
    cursor
        .map(|text| event_number(text).ok_or_else(wrong))
        .transpose()
}

/// The cursor of the following page; none when this one was not full.
pub(crate) fn next<T>(rows: &[T], limit: u32, cursor: impl FnOnce(&T) -> String) -> Option<String> {
    let full = usize::try_from(limit).is_ok_and(|limit| limit <= rows.len());
    rows.last().filter(|_| full).map(cursor)
}

/// The text is no cursor.
pub(crate) fn wrong() -> Problem {
    Problem::new(
        ProblemKind::Unprocessable,
        "cursor",
        "`cursor`: must be the `next` of the page before",
    )
}
