//! One page of a list, and the questions that every list answers.
//!
//! Promises: pages neither skip nor repeat a row while rows arrive: the cursor names the last row
//! seen, never a position.
//! Refuses: a cursor that this server did not print, and a limit outside its bounds (at the door).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::id::EventNumber;

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub items: Vec<T>,
    /// What to send as `cursor` for the following page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows a page holds at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Where a search of the ledger goes on, and where it ends; printed as `<after>-<until>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerCursor {
    /// The last event seen.
    pub after: EventNumber,
    /// The newest event when the search began.
    pub until: EventNumber,
}

/// The text is no cursor that was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is no cursor of the ledger")]
pub struct CursorError;

impl FromStr for LedgerCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (after, until) = text.split_once('-').ok_or(CursorError)?;
        let number = |text| event_number(text).ok_or(CursorError);
        let (after, until) = (number(after)?, number(until)?);
        if after < until {
            Ok(Self { after, until })
        } else {
            Err(CursorError)
        }
    }
}

impl fmt::Display for LedgerCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.after, self.until)
    }
}

/// The number of an event, written as it is printed and no larger than a ledger can hold.
#[must_use]
pub fn event_number(text: &str) -> Option<EventNumber> {
    let number: i64 = text.parse().ok()?;
    let number = EventNumber::new(number.try_into().ok()?)?;
    (number.to_string() == text).then_some(number)
}

/// Rows on a page when nobody says how many.
pub const PAGE_ROWS_DEFAULT: u32 = 100;
/// The most rows one page holds.
pub const PAGE_ROWS_MAX: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_spelling() {
        for text in ["1-2", "7-9223372036854775807"] {
            assert_eq!(text.parse::<LedgerCursor>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "2-1",
            "2-2",
            "0-1",
            "+1-2",
            "01-2",
            "1-2-3",
            "1 -2",
            "1-9223372036854775808",
            "\u{661}-2",
        ] {
            assert_eq!(text.parse::<LedgerCursor>(), Err(CursorError), "{text}");
        }
    }
}
