//! One page of a list, and the questions that every list answers.
//!
//! Promises: pages neither skip nor repeat a row while rows arrive: the cursor names the last row
//! seen, never a position.
//! Refuses: a cursor that this server did not print, and a limit outside its bounds (at the door).

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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

/// Rows on a page when nobody says how many.
pub const PAGE_ROWS_DEFAULT: u32 = 100;
/// The most rows one page holds.
pub const PAGE_ROWS_MAX: u32 = 1000;
